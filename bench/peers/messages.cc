// The peer of the message benchmarks: a small epoll server on kernel TCP with group commit. What arrives in one round
// of epoll, from however many connections, is one write; up to four writes are in flight, and while they are, the next
// group grows. When a group is stored, each connection in it is told how many messages of its are stored by now
// (8 bytes, little-endian).
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <vector>

#include "common/poller.h"
#include "common/socket.h"
#include "peers/block_log.h"

namespace holdfast::bench {
namespace {

constexpr std::uint64_t kListener = ~std::uint64_t{0};
constexpr std::uint64_t kLog = kListener - 1;

class MessageServer {
 public:
  MessageServer(const sockaddr_in& local, const BlockLog::Config& config, std::size_t message_bytes)
      : log_(config), listener_(listen_tcp(local)), message_bytes_(message_bytes) {
    poller_.add(listener_, EPOLLIN, kListener);
    poller_.add(log_.poll_fd(), EPOLLIN, kLog);
  }

  [[noreturn]] void run() {
    for (;;) {
      poller_.wait(-1, [this](std::uint64_t value, std::uint32_t) {
        if (value == kListener) {
          accept();
        } else if (value != kLog) {
          receive(static_cast<int>(value));
        }
      });
      log_.reap(false);
      if (log_.can_submit()) log_.submit();
      reply_stored();
    }
  }

 private:
  struct Connection {
    std::uint64_t life = 0;  // 0: closed. A descriptor's number is used again, its life is not
    std::uint64_t received = 0;
    std::uint64_t replied = 0;  // messages
  };
  // What a connection is owed once `block` is stored.
  struct Owed {
    std::uint64_t block;
    int fd;
    std::uint64_t life;
    std::uint64_t received;
  };

  void accept() {
    for (int fd = accept_tcp(listener_); fd >= 0; fd = accept_tcp(listener_)) {
      const auto index = static_cast<std::size_t>(fd);
      if (index >= connections_.size()) connections_.resize(2 * index + 1);
      connections_[index] = {.life = ++lives_};
      poller_.add(fd, EPOLLIN, static_cast<std::uint64_t>(fd));
    }
  }

  void receive(int fd) {
    Connection& connection = connections_[static_cast<std::size_t>(fd)];
    const auto room = log_.room(message_bytes_);
    const ssize_t n = ::recv(fd, room.data(), room.size(), 0);
    if (n > 0) {
      connection.received += static_cast<std::uint64_t>(n);
      const std::uint64_t block = log_.append(connection.life, static_cast<std::size_t>(n));
      owed_.push_back({block, fd, connection.life, connection.received});
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      connection.life = 0;
      ::close(fd);
    }
  }

  void reply_stored() {
    for (; !owed_.empty() && owed_.front().block <= log_.durable(); owed_.pop_front()) {
      const Owed& owed = owed_.front();
      Connection& connection = connections_[static_cast<std::size_t>(owed.fd)];
      const std::uint64_t stored = owed.received / message_bytes_;
      if (connection.life != owed.life || stored == connection.replied) continue;
      connection.replied = stored;
      if (::send(owed.fd, &stored, sizeof stored, MSG_NOSIGNAL) != sizeof stored && errno == EAGAIN) {
        die("a client does not read its replies");
      }
    }
  }

  BlockLog log_;
  Poller poller_;
  int listener_;
  std::size_t message_bytes_;
  std::vector<Connection> connections_;  // by descriptor
  std::uint64_t lives_ = 0;
  std::deque<Owed> owed_;  // by block
};

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  CLI::App app{"Stores messages from many kernel TCP connections with group commit, and acknowledges each"};
  std::string listen = "0.0.0.0:7001";
  std::size_t message_bytes = 1024;
  BlockLog::Config config{.path = "messages.log"};
  app.add_option("--listen", listen, "ADDRESS:PORT")->capture_default_str();
  app.add_option("--file", config.path, "Log file; overwritten")->capture_default_str();
  app.add_option("--file-bytes", config.file_bytes, "Its size; recycled when full")->capture_default_str();
  app.add_option("--message", message_bytes, "Bytes of a message")->capture_default_str();
  app.add_option("--depth", config.depth, "Writes in flight")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  allow_open_files(100'000);  // or as many as there may be
  MessageServer server(parse_endpoint(listen), config, message_bytes);
  std::puts("listening");
  std::fflush(stdout);
  server.run();
}
