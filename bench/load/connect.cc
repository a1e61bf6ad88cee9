// Opens many connections and holds them idle; on command, sends one byte on one or all of them and reports when it was
// acknowledged or came back. For the memory of an idle connection, and for the time a restart takes.
//
// Commands on stdin, a line each, answered by a line of JSON on stdout:
//   poke one | poke all   times are CLOCK_MONOTONIC, so that the caller can relate them to what it did
//   quit
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "common/measure.h"
#include "common/poller.h"
#include "common/socket.h"
#include "load/ack_timestamps.h"

namespace holdfast::bench {
namespace {

struct Options {
  sockaddr_in peer{};
  std::vector<sockaddr_in> sources;
  std::size_t connections = 1;
  std::size_t at_a_time = 128;  // connects under way: within any listener's backlog
  double timeout_seconds = 60;
  int wait_ms = 0;
  bool until_echo = false;
};

struct Connection {
  int fd = -1;
  std::uint64_t acked = 0;
  std::int64_t sent_at = 0;  // 0: nothing outstanding
  bool lost = false;
};

class Holder {
 public:
  explicit Holder(const Options& options) : options_(options) {}

  void open_all() {
    if (options_.wait_ms > 0) ::close(connect_tcp(options_.peer, std::chrono::milliseconds(options_.wait_ms)));
    const std::int64_t start = now_ns();
    std::size_t under_way = 0;
    std::size_t open = 0;
    while (open < options_.connections) {
      while (under_way < options_.at_a_time && connections_.size() < options_.connections) {
        const std::size_t index = connections_.size();
        connections_.push_back({.fd = start_connect(options_.sources[index % options_.sources.size()], options_.peer)});
        poller_.add(connections_.back().fd, EPOLLOUT, index);
        ++under_way;
      }
      check_deadline(start, "connecting");
      poller_.wait(1000, [&](std::uint64_t index, std::uint32_t) {
        Connection& connection = connections_[index];
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &size);
        errno = error;
        if (error != 0) die_errno("connect");
        if (!options_.until_echo) watch_acks(connection.fd);
        poller_.modify(connection.fd, EPOLLIN, index);
        --under_way;
        ++open;
      });
    }
    fmt::print(R"({{"connected": {}, "seconds": {:.6f}}})"
               "\n",
               open, static_cast<double>(now_ns() - start) / 1e9);
    std::fflush(stdout);
  }

  // One byte on each of the first `count` connections; returns when all are answered or lost, or the time is over.
  void poke(std::size_t count) {
    constexpr std::size_t kBurst = 64;
    const std::int64_t start = now_ns();
    const std::int64_t deadline = start + static_cast<std::int64_t>(options_.timeout_seconds * 1e9);
    Histogram latency;
    answered_ = lost_ = 0;
    first_ns_ = last_ns_ = 0;
    std::size_t sent = 0;
    while (answered_ + lost_ < count && now_ns() < deadline) {
      for (const std::size_t end = std::min(count, sent + kBurst); sent < end; ++sent) send_byte(connections_[sent]);
      poller_.wait(sent < count ? 0 : 100, [&](std::uint64_t index, std::uint32_t events) {
        take_answer(connections_[index], events, latency);
      });
    }
    fmt::print(
        R"({{"sent_ns": {}, "first_ns": {}, "last_ns": {}, "answered": {}, "lost": {}, "unanswered": {}, "latency": {}}})"
        "\n",
        start, first_ns_, last_ns_, answered_, lost_, count - answered_ - lost_, latency.to_json());
    std::fflush(stdout);
  }

  std::size_t size() const { return connections_.size(); }

 private:
  void check_deadline(std::int64_t start, const char* what) const {
    if (static_cast<double>(now_ns() - start) / 1e9 > options_.timeout_seconds) die(fmt::format("timed out {}", what));
  }

  void send_byte(Connection& connection) {
    if (connection.lost) {
      ++lost_;
      return;
    }
    connection.sent_at = now_ns();
    if (::send(connection.fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) lose(connection);
  }

  void take_answer(Connection& connection, std::uint32_t events, Histogram& latency) {
    bool answered = false;
    bool broken = (events & EPOLLHUP) != 0;
    if ((events & EPOLLERR) != 0 && !options_.until_echo) {
      const std::uint64_t before = connection.acked;
      connection.acked = take_ack(connection.fd, before);
      answered = connection.acked > before;
    }
    if ((events & EPOLLIN) != 0) {
      std::array<char, 64> input;
      const ssize_t n = ::recv(connection.fd, input.data(), input.size(), MSG_DONTWAIT);
      broken = broken || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
      answered = answered || (options_.until_echo && n > 0);
    }
    if (broken) return lose(connection);
    if (!answered || connection.sent_at == 0) return;
    last_ns_ = now_ns();
    if (first_ns_ == 0) first_ns_ = last_ns_;
    latency.add(last_ns_ - connection.sent_at);
    connection.sent_at = 0;
    ++answered_;
  }

  void lose(Connection& connection) {
    if (connection.sent_at != 0) ++lost_;
    connection.sent_at = 0;
    connection.lost = true;
    poller_.remove(connection.fd);
  }

  Options options_;
  Poller poller_;
  std::vector<Connection> connections_;
  std::size_t answered_ = 0;
  std::size_t lost_ = 0;
  std::int64_t first_ns_ = 0;
  std::int64_t last_ns_ = 0;
};

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  CLI::App app{"Opens kernel TCP connections, holds them, and sends a byte on command"};
  Options options;
  std::string to;
  std::string until = "ack";
  std::vector<std::string> sources;
  app.add_option("--to", to, "ADDRESS:PORT")->required();
  app.add_option("--connections", options.connections)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--from", sources, "Source addresses, used in turn (each has about 28,000 ports)")->delimiter(',');
  app.add_option("--until", until, "A byte is answered by its TCP ACK or its echo")
      ->check(CLI::IsMember({"ack", "echo"}));
  app.add_option("--wait", options.wait_ms, "First try for so many milliseconds until one connects");
  app.add_option("--timeout", options.timeout_seconds, "Seconds to connect, and for each command")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  options.peer = parse_endpoint(to);
  options.until_echo = until == "echo";
  if (sources.empty()) sources.emplace_back("0.0.0.0");
  for (const std::string& source : sources) options.sources.push_back(parse_endpoint(source + ":0"));
  if (const std::size_t room = allow_open_files(options.connections); room < options.connections) {
    die(fmt::format("only {} open files are allowed to a process (ulimit -Hn)", room));
  }

  Holder holder(options);
  holder.open_all();
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    if (line == "poke one") {
      holder.poke(1);
    } else if (line == "poke all") {
      holder.poke(holder.size());
    } else {
      die(fmt::format("unknown command '{}'", line));
    }
  }
  return 0;
}
