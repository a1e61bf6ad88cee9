// Round trips of one byte over one connection: send, wait for it to come back, again.
#include <fmt/core.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>

#include "common/measure.h"
#include "common/socket.h"

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  CLI::App app{"Measures one-byte round trips over kernel TCP"};
  std::string to;
  int count = 10'000;
  int warm_up = 500;
  int wait_ms = 0;
  app.add_option("--to", to, "ADDRESS:PORT of an echo service")->required();
  app.add_option("--count", count, "Round trips to measure")->capture_default_str();
  app.add_option("--warm-up", warm_up, "Round trips before that")->capture_default_str();
  app.add_option("--wait", wait_ms, "Try to connect for so many milliseconds")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const int fd = connect_tcp(parse_endpoint(to), std::chrono::milliseconds(wait_ms));
  Histogram latency;
  double cpu_before = cpu_seconds();
  for (int i = -warm_up; i < count; ++i) {
    if (i == 0) cpu_before = cpu_seconds();
    const std::int64_t start = now_ns();
    const char out = static_cast<char>(i);
    char in = 0;
    if (::send(fd, &out, 1, MSG_NOSIGNAL) != 1) die_errno("send");
    if (const ssize_t n = ::recv(fd, &in, 1, 0); n != 1) n == 0 ? die("the peer closed") : die_errno("recv");
    if (in != out) die("the echo differs from what was sent");
    if (i >= 0) latency.add(now_ns() - start);
  }
  fmt::print(R"({{"latency": {}, "cpu_seconds": {:.4f}}})"
             "\n",
             latency.to_json(), cpu_seconds() - cpu_before);
  return 0;
}
