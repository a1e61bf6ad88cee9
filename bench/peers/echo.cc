// The peer of the round-trip benchmarks: an epoll server on kernel TCP that sends back what it reads, with --sync after
// a 4 KiB synchronous direct write.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "common/poller.h"
#include "common/socket.h"
#include "peers/block_log.h"

namespace holdfast::bench {
namespace {

constexpr std::uint64_t kListener = ~std::uint64_t{0};
constexpr std::size_t kPage = 4096;
constexpr std::size_t kHeader = 16;

// One page a write, at the next place of a preallocated file.
class PageLog {
 public:
  PageLog(const std::string& path, std::uint64_t file_bytes)
      : path_(path), file_(create_written_file(path, file_bytes, O_DSYNC)), file_bytes_(file_bytes) {}

  void write(int connection, const char* data, std::size_t size) {
    const auto id = static_cast<std::uint64_t>(connection);
    std::memcpy(page_.data(), &id, sizeof id);
    std::memcpy(page_.data() + 8, &size, sizeof size);
    std::memcpy(page_.data() + kHeader, data, size);
    if (::pwrite(file_, page_.data(), kPage, static_cast<off_t>(offset_)) != static_cast<ssize_t>(kPage)) {
      die_errno(path_);
    }
    offset_ = (offset_ + kPage) % file_bytes_;
  }

 private:
  std::string path_;
  int file_;
  std::uint64_t file_bytes_;
  std::uint64_t offset_ = 0;
  alignas(kPage) std::array<char, kPage> page_{};
};

void echo(int fd, std::optional<PageLog>& log) {
  std::array<char, kPage - kHeader> data;
  const ssize_t n = ::recv(fd, data.data(), data.size(), 0);
  if (n > 0) {
    const auto size = static_cast<std::size_t>(n);
    if (log) log->write(fd, data.data(), size);
    if (::send(fd, data.data(), size, MSG_NOSIGNAL) == n) return;
    if (errno == EAGAIN) die("a client does not read its echo");
  } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  ::close(fd);
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  CLI::App app{"Sends back what arrives over kernel TCP"};
  std::string listen = "0.0.0.0:7002";
  std::string sync_file;
  std::uint64_t file_bytes = 64U << 20;
  app.add_option("--listen", listen, "ADDRESS:PORT")->capture_default_str();
  app.add_option("--sync", sync_file, "Write each piece to this file, synchronously, before sending it back");
  app.add_option("--file-bytes", file_bytes, "Its size; recycled when full")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  allow_open_files(100'000);  // or as many as there may be
  std::optional<PageLog> log;
  if (!sync_file.empty()) log.emplace(sync_file, file_bytes);
  Poller poller;
  const int listener = listen_tcp(parse_endpoint(listen));
  poller.add(listener, EPOLLIN, kListener);
  std::puts("listening");
  std::fflush(stdout);
  for (;;) {
    poller.wait(-1, [&](std::uint64_t value, std::uint32_t) {
      if (value != kListener) return echo(static_cast<int>(value), log);
      for (int fd = accept_tcp(listener); fd >= 0; fd = accept_tcp(listener)) {
        poller.add(fd, EPOLLIN, static_cast<std::uint64_t>(fd));
      }
    });
  }
}
