// The peer of the bulk benchmarks: an epoll server on kernel TCP that stores what it receives and closes each
// connection once everything that came over it is stored. (The kernel acknowledges on arrival: the FIN is the only word
// about storage.)
//
// One thread. Bytes are received straight into the log's block, which is written when full, or at the end of a stream.
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <deque>

#include "common/poller.h"
#include "common/socket.h"
#include "peers/block_log.h"

namespace holdfast::bench {
namespace {

constexpr std::uint64_t kListener = ~std::uint64_t{0};
constexpr std::uint64_t kLog = kListener - 1;
constexpr std::size_t kLeastRead = 4096;  // a smaller rest of a block is not worth a system call

class Receiver {
 public:
  Receiver(const sockaddr_in& local, const BlockLog::Config& config) : log_(config), listener_(listen_tcp(local)) {
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
      // The last bytes of a stream don't wait for the block to fill.
      if (!closing_.empty() && closing_.back().block == last_block_ && log_.can_submit()) log_.submit();
      close_stored();
    }
  }

 private:
  struct Closing {
    int fd;
    std::uint64_t block;
  };

  void accept() {
    for (int fd = accept_tcp(listener_); fd >= 0; fd = accept_tcp(listener_)) {
      poller_.add(fd, EPOLLIN, static_cast<std::uint64_t>(fd));
    }
  }

  void receive(int fd) {
    const auto room = log_.room(kLeastRead);
    const ssize_t n = ::recv(fd, room.data(), room.size(), 0);
    if (n > 0) {
      last_block_ = log_.append(static_cast<std::uint64_t>(fd), static_cast<std::size_t>(n));
    } else if (n == 0) {
      poller_.remove(fd);
      closing_.push_back({fd, last_block_});
    } else if (errno != EAGAIN && errno != EINTR) {
      ::close(fd);
    }
  }

  // Closes what has all its bytes stored; that sends the FIN.
  void close_stored() {
    while (!closing_.empty() && closing_.front().block <= log_.durable()) {
      ::close(closing_.front().fd);
      closing_.pop_front();
    }
  }

  BlockLog log_;
  Poller poller_;
  int listener_;
  std::uint64_t last_block_ = 0;  // the block that holds the newest record
  std::deque<Closing> closing_;   // by block
};

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  CLI::App app{"Stores what arrives over kernel TCP; closes a connection when all of it is stored"};
  std::string listen = "0.0.0.0:7000";
  BlockLog::Config config{.path = "receiver.log"};
  app.add_option("--listen", listen, "ADDRESS:PORT")->capture_default_str();
  app.add_option("--file", config.path, "Log file; overwritten")->capture_default_str();
  app.add_option("--file-bytes", config.file_bytes, "Its size; recycled when full")->capture_default_str();
  app.add_option("--block", config.block_bytes, "Bytes of a write")->capture_default_str();
  app.add_option("--depth", config.depth, "Writes in flight")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  allow_open_files(100'000);  // or as many as there may be
  Receiver receiver(parse_endpoint(listen), config);
  std::puts("listening");
  std::fflush(stdout);
  receiver.run();
}
