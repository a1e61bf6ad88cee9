// Messages of a fixed size over many connections, with a bounded number outstanding on each. A message is done when the
// client knows that it is stored:
//   --ack=reply  the peer's application says how many of the connection's messages are stored (8 bytes, little-endian)
//   --ack=tcp    TCP has acknowledged it: for a peer whose ACK means stored
//   --ack=echo   it came back: for an echo service that stores before it sends
// One thread and one epoll in all modes; each costs about one system call per notice beside the send.
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "common/measure.h"
#include "common/poller.h"
#include "common/socket.h"
#include "load/ack_timestamps.h"

namespace holdfast::bench {
namespace {

enum class Ack { kReply, kTcp, kEcho };

struct Options {
  sockaddr_in peer{};
  Ack ack = Ack::kReply;
  std::size_t connections = 64;
  std::size_t outstanding = 1;
  std::size_t message_bytes = 1024;
  double warm_up_seconds = 1;
  double seconds = 5;
  int wait_ms = 0;
  bool no_delay = false;
};

struct Client {
  int fd = -1;
  std::uint64_t sent = 0;            // messages begun
  std::uint64_t done = 0;            // messages known to be stored
  std::uint64_t bytes_unsent = 0;    // of those begun
  std::uint64_t bytes_in = 0;        // acknowledged (tcp) or received (reply, echo)
  std::array<std::byte, 8> reply{};  // the last eight bytes of the reply stream's current count
  bool waits_for_room = false;
  std::vector<std::int64_t> sent_at;  // of message i at i % outstanding
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), data_(options.message_bytes * options.outstanding), clients_(options.connections) {
    for (std::size_t i = 0; i < data_.size(); ++i) data_[i] = static_cast<std::byte>((i * 2654435761U) >> 13);
    for (std::size_t i = 0; i < clients_.size(); ++i) connect(i);
  }

  void run() {
    run_for(options_.warm_up_seconds);
    latency_.clear();
    const double cpu = cpu_seconds();
    const std::int64_t start = now_ns();
    run_for(options_.seconds);
    const double elapsed = static_cast<double>(now_ns() - start) / 1e9;
    fmt::print(
        R"({{"messages": {}, "seconds": {:.6f}, "messages_per_s": {:.1f}, "cpu_seconds": {:.4f}, "latency": {}}})"
        "\n",
        latency_.count(), elapsed, static_cast<double>(latency_.count()) / elapsed, cpu_seconds() - cpu,
        latency_.to_json());
  }

 private:
  void connect(std::size_t index) {
    Client& client = clients_[index];
    client.fd = connect_tcp(options_.peer, std::chrono::milliseconds(options_.wait_ms));
    client.sent_at.resize(options_.outstanding);
    if (options_.no_delay) {
      const int on = 1;
      ::setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (options_.ack == Ack::kTcp) watch_acks(client.fd);
    set_nonblocking(client.fd);
    poller_.add(client.fd, EPOLLIN, index);
  }

  void run_for(double seconds) {
    for (Client& client : clients_) send_more(client);
    const std::int64_t end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
    while (now_ns() < end) {
      poller_.wait(100, [this](std::uint64_t index, std::uint32_t events) {
        Client& client = clients_[index];
        take_notices(client, events);
        send_more(client);
      });
    }
  }

  void take_notices(Client& client, std::uint32_t events) {
    std::uint64_t done = client.done;
    if (options_.ack == Ack::kTcp) {
      if ((events & EPOLLERR) != 0) client.bytes_in = take_ack(client.fd, client.bytes_in);
      if ((events & (EPOLLIN | EPOLLHUP)) != 0) die("the peer closed or reset a connection");
      done = client.bytes_in / options_.message_bytes;
    } else if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) {
      done = receive(client);
    }
    if (done > client.sent) die("the peer acknowledged more than was sent");
    const std::int64_t now = now_ns();
    for (; client.done < done; ++client.done) latency_.add(now - client.sent_at[client.done % options_.outstanding]);
  }

  // Reads replies or echoes; returns the messages that they say are stored.
  std::uint64_t receive(Client& client) {
    const ssize_t n = ::recv(client.fd, input_.data(), input_.size(), 0);
    if (n == 0) die("the peer closed a connection");
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) return client.done;
      die_errno("recv");
    }
    const auto size = static_cast<std::size_t>(n);
    if (options_.ack == Ack::kEcho) {
      client.bytes_in += size;
      return client.bytes_in / options_.message_bytes;
    }
    std::uint64_t done = client.done;
    for (std::size_t i = 0; i < size; ++i) {
      client.reply[client.bytes_in++ % client.reply.size()] = input_[i];
      if (client.bytes_in % client.reply.size() == 0) std::memcpy(&done, client.reply.data(), sizeof done);
    }
    return done;
  }

  // Keeps the allowed number of messages outstanding: all that may go now, in one call.
  void send_more(Client& client) {
    const std::size_t more = options_.outstanding - (client.sent - client.done);
    if (more > 0) {
      const std::int64_t now = now_ns();
      for (std::size_t i = 0; i < more; ++i) client.sent_at[client.sent++ % options_.outstanding] = now;
      client.bytes_unsent += more * options_.message_bytes;
    }
    if (client.bytes_unsent == 0) return;
    const ssize_t n = ::send(client.fd, data_.data(), client.bytes_unsent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) die_errno("send");
    if (n > 0) client.bytes_unsent -= static_cast<std::uint64_t>(n);
    if (const bool waits = client.bytes_unsent > 0; waits != client.waits_for_room) {
      client.waits_for_room = waits;
      poller_.modify(client.fd, waits ? EPOLLIN | EPOLLOUT : EPOLLIN,
                     static_cast<std::uint64_t>(&client - clients_.data()));
    }
  }

  Options options_;
  std::vector<std::byte> data_;
  std::array<std::byte, 65536> input_{};
  std::vector<Client> clients_;
  Poller poller_;
  Histogram latency_;
};

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  CLI::App app{"Sends messages over many kernel TCP connections and counts those known to be stored"};
  std::string to;
  Options options;
  const std::map<std::string, Ack> modes{{"reply", Ack::kReply}, {"tcp", Ack::kTcp}, {"echo", Ack::kEcho}};
  app.add_option("--to", to, "ADDRESS:PORT")->required();
  app.add_option("--ack", options.ack, "What says that a message is stored")->transform(CLI::CheckedTransformer(modes));
  app.add_option("--connections", options.connections)->capture_default_str();
  app.add_option("--outstanding", options.outstanding, "Messages under way on each connection")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--message", options.message_bytes, "Bytes of a message")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--warm-up", options.warm_up_seconds, "Seconds before measuring")->capture_default_str();
  app.add_option("--seconds", options.seconds, "Seconds to measure")->capture_default_str();
  app.add_option("--wait", options.wait_ms, "Try to connect for so many milliseconds")->capture_default_str();
  app.add_flag("--nodelay", options.no_delay, "Set TCP_NODELAY, as clients that keep several messages under way do");
  CLI11_PARSE(app, argc, argv);
  options.peer = parse_endpoint(to);
  if (const std::size_t room = allow_open_files(options.connections); room < options.connections) {
    die(fmt::format("only {} open files are allowed to a process (ulimit -Hn)", room));
  }
  Load(options).run();
  return 0;
}
