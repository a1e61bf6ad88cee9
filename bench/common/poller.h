// epoll, with the calls that this bench needs.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "common/socket.h"

namespace holdfast::bench {

class Poller {
 public:
  Poller() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (fd_ < 0) die_errno("epoll_create1");
  }

  // `value` comes back with each event of `fd`. Level-triggered unless `events` says otherwise.
  void add(int fd, std::uint32_t events, std::uint64_t value) {
    epoll_event event{.events = events, .data = {.u64 = value}};
    if (::epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) != 0) die_errno("epoll_ctl");
  }
  void modify(int fd, std::uint32_t events, std::uint64_t value) {
    epoll_event event{.events = events, .data = {.u64 = value}};
    if (::epoll_ctl(fd_, EPOLL_CTL_MOD, fd, &event) != 0) die_errno("epoll_ctl");
  }
  void remove(int fd) { ::epoll_ctl(fd_, EPOLL_CTL_DEL, fd, nullptr); }

  // One round: waits for events and calls `handle(value, events)` for each. A round without any ends after `timeout_ms`
  // (-1: never), or with a signal (io_uring wakes its thread that way).
  template <class Handle>
  void wait(int timeout_ms, Handle&& handle) {
    const int n = ::epoll_wait(fd_, events_.data(), static_cast<int>(events_.size()), timeout_ms);
    if (n < 0 && errno != EINTR) die_errno("epoll_wait");
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      handle(event.data.u64, event.events);
    }
  }

 private:
  int fd_;
  std::array<epoll_event, 1024> events_{};
};

}  // namespace holdfast::bench
