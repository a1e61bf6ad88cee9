#include "common/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace holdfast::bench {
namespace {

int new_socket(int flags) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) die_errno("socket");
  return fd;
}

const sockaddr* generic(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

}  // namespace

void die(std::string_view message) {
  fmt::print(stderr, "{}: {}\n", program_invocation_short_name, message);
  std::exit(1);
}

void die_errno(std::string_view message) { die(fmt::format("{}: {}", message, std::strerror(errno))); }

sockaddr_in parse_endpoint(std::string_view text) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) die(fmt::format("'{}' is not ADDRESS:PORT", text));
  const std::string address(text.substr(0, colon));
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() ||
      ::inet_pton(AF_INET, address.c_str(), &result.sin_addr) != 1) {
    die(fmt::format("'{}' is not ADDRESS:PORT", text));
  }
  result.sin_port = htons(port);
  return result;
}

int listen_tcp(const sockaddr_in& local) {
  const int fd = new_socket(SOCK_NONBLOCK);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // a restarted peer must get its port back
  if (::bind(fd, generic(local), sizeof local) != 0) die_errno("bind");
  if (::listen(fd, 65535) != 0) die_errno("listen");
  return fd;
}

int accept_tcp(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) die_errno("accept");
  return fd;
}

int connect_tcp(const sockaddr_in& peer, std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  for (;;) {
    const int fd = new_socket(0);
    if (::connect(fd, generic(peer), sizeof peer) == 0) return fd;
    if (std::chrono::steady_clock::now() >= deadline) die_errno("connect");
    ::close(fd);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

int start_connect(const sockaddr_in& source, const sockaddr_in& peer) {
  const int fd = new_socket(SOCK_NONBLOCK);
  if (source.sin_addr.s_addr != INADDR_ANY) {
    // The port is chosen at connect() and need be free only towards this peer: 28,000 per source address.
    const int on = 1;
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (::bind(fd, generic(source), sizeof source) != 0) die_errno("bind to the source address");
  }
  if (::connect(fd, generic(peer), sizeof peer) != 0 && errno != EINPROGRESS) die_errno("connect");
  return fd;
}

void set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) die_errno("fcntl");
}

std::size_t allow_open_files(std::size_t connections) {
  constexpr rlim_t kOthers = 64;
  const rlim_t needed = connections + kOthers;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) die_errno("getrlimit");
  if (limit.rlim_cur < needed) {
    const rlimit raised{needed, std::max(limit.rlim_max, needed)};
    const rlimit most{limit.rlim_max, limit.rlim_max};  // the hard limit itself is not always ours to raise
    if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) ::setrlimit(RLIMIT_NOFILE, &most);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return std::min<std::size_t>(connections, limit.rlim_cur - kOthers);
}

}  // namespace holdfast::bench
