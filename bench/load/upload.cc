// Bulk upload as an unmodified client does it: send() as fast as the socket takes it, half-close, wait for the peer's
// FIN. Time runs from the first byte to that FIN, which both peers of the benchmark send once everything is stored.
#include <fmt/core.h>
#include <linux/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "common/measure.h"
#include "common/socket.h"

namespace holdfast::bench {
namespace {

// Bytes that no layer below could compress, more than the processor's private caches hold.
std::vector<std::uint64_t> random_words(std::size_t bytes) {
  std::vector<std::uint64_t> words(bytes / sizeof(std::uint64_t));
  std::mt19937_64 random(1);
  std::generate(words.begin(), words.end(), random);
  return words;
}

void send_all(int fd, const std::vector<std::uint64_t>& words, std::uint64_t bytes, std::size_t piece) {
  const auto* data = reinterpret_cast<const char*>(words.data());
  const std::size_t size = words.size() * sizeof words[0];
  std::size_t at = 0;
  while (bytes > 0) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>({piece, size - at, bytes}));
    const ssize_t n = ::send(fd, data + at, length, MSG_NOSIGNAL);
    if (n < 0) die_errno("send");
    bytes -= static_cast<std::uint64_t>(n);
    at = (at + static_cast<std::size_t>(n)) % size;
  }
}

void await_fin(int fd) {
  std::array<char, 4096> ignored;
  ssize_t n = 0;
  while ((n = ::recv(fd, ignored.data(), ignored.size(), 0)) > 0) continue;
  if (n < 0) die_errno("waiting for the peer's FIN");
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  CLI::App app{"Uploads bytes over kernel TCP and waits for the peer's FIN"};
  std::string to;
  std::uint64_t bytes = 1U << 30;
  std::size_t piece = 1U << 20;
  int wait_ms = 0;
  std::string congestion;
  app.add_option("--to", to, "ADDRESS:PORT")->required();
  app.add_option("--bytes", bytes, "Bytes to send")->capture_default_str();
  app.add_option("--send", piece, "Bytes of a send() call")->capture_default_str();
  app.add_option("--wait", wait_ms, "Try to connect for so many milliseconds")->capture_default_str();
  app.add_option("--congestion", congestion, "Congestion control of this socket (default: the namespace's)");
  CLI11_PARSE(app, argc, argv);

  const auto peer = parse_endpoint(to);
  const std::vector<std::uint64_t> words = random_words(8U << 20);
  const std::int64_t before_connect = now_ns();
  const int fd = connect_tcp(peer, std::chrono::milliseconds(wait_ms));
  if (!congestion.empty() && ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion.data(),
                                          static_cast<socklen_t>(congestion.size())) != 0) {
    die_errno("TCP_CONGESTION");
  }
  const double cpu_before = cpu_seconds();
  const std::int64_t start = now_ns();
  send_all(fd, words, bytes, piece);
  const std::int64_t sent = now_ns();
  ::shutdown(fd, SHUT_WR);
  await_fin(fd);
  const std::int64_t end = now_ns();
  const double cpu = cpu_seconds() - cpu_before;

  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) die_errno("TCP_INFO");
  std::array<char, 16> name{};
  length = name.size() - 1;
  ::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &length);

  const auto seconds = [](std::int64_t ns) { return static_cast<double>(ns) / 1e9; };
  fmt::print(
      R"({{"bytes": {}, "seconds": {:.6f}, "gbit_per_s": {:.3f}, "connect_seconds": {:.6f}, "fin_wait_seconds": {:.6f}, )"
      R"("cpu_seconds": {:.4f}, "congestion": "{}", "rtt_us": {}, "min_rtt_us": {}, "retransmits": {}, "bytes_acked": {}}})"
      "\n",
      bytes, seconds(end - start), static_cast<double>(bytes) * 8 / 1e9 / seconds(end - start),
      seconds(start - before_connect), seconds(end - sent), cpu, name.data(), info.tcpi_rtt, info.tcpi_min_rtt,
      info.tcpi_total_retrans, info.tcpi_bytes_acked);
  return 0;
}
