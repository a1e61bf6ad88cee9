// A wire of some length: joins two TAP devices and delivers each frame so many microseconds after it came, in order,
// super-segments with their offload metadata. There is no netem where the tests run.
//
//   holdfast-long-wire NAMESPACE DEVICE NAMESPACE DEVICE MICROSECONDS
//
// It says "ready", and works until it gets SIGTERM. Then it says what went through each direction, as JSON: frames,
// bytes, the most that was under way, what was dropped because that found no room, and how late a frame was at the
// latest.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kRoom = 64U << 20;            // bytes under way: 25 ms of 2.5 GB/s
constexpr std::size_t kLargest = (64U << 10) + 64;  // a super-segment, and its metadata
constexpr int kBurst = 64;

[[noreturn]] void give_up(const std::string& what) {
  std::perror(("holdfast-long-wire: " + what).c_str());
  std::exit(1);
}

// The calling thread is in that namespace afterwards.
int open_tap(const char* name_space, const char* device) {
  const int there = ::open(name_space, O_RDONLY | O_CLOEXEC);
  if (there < 0 || ::setns(there, CLONE_NEWNET) != 0) give_up(name_space);
  ::close(there);
  const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) give_up("/dev/net/tun");
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(fd, TUNSETIFF, &request) != 0) give_up(device);
  if (::ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0) give_up("offloads");
  return fd;
}

// What is under way in one direction. One thread.
class Direction {
 public:
  Direction(int from, int to, int stop, std::chrono::microseconds delay)
      : from_(from), to_(to), stop_(stop), delay_(delay), room_(kRoom) {}

  void run() {
    ::prctl(PR_SET_TIMERSLACK, 1000UL);
    pollfd files[] = {{from_, POLLIN, 0}, {stop_, POLLIN, 0}};
    while ((files[1].revents & POLLIN) == 0) {
      const bool more = take_burst();
      deliver_due();
      timespec wait{};
      if (!more && !frames_.empty()) {
        const auto left = std::max<std::int64_t>((frames_.front().due - Clock::now()).count(), 0);
        wait = {.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
      }
      if (::ppoll(files, 2, !more && frames_.empty() ? nullptr : &wait, nullptr) < 0 && errno != EINTR) give_up("poll");
    }
  }

  void report(const char* name) const {
    std::printf(
        "\"%s\": {\"frames\": %llu, \"bytes\": %llu, \"most_bytes\": %zu, \"dropped\": %llu, \"refused\": %llu, "
        "\"latest_us\": %lld}",
        name, count(count_), count(bytes_), most_, count(dropped_), count(refused_),
        static_cast<long long>(latest_.count() / 1000));
  }

 private:
  struct Frame {
    Clock::time_point due;
    std::size_t at = 0, size = 0;
  };
  static unsigned long long count(std::uint64_t number) { return number; }

  // True where there may be more.
  bool take_burst() {
    for (int i = 0; i < kBurst; ++i) {
      const std::size_t at = place();
      std::byte* const into = at == kNone ? spill_ : room_.data() + at;
      const ssize_t size = ::read(from_, into, kLargest);
      if (size <= 0) return false;
      if (at == kNone) {
        ++dropped_;
        continue;
      }
      frames_.push_back({Clock::now() + delay_, at, static_cast<std::size_t>(size)});
      under_way_ += static_cast<std::size_t>(size);
      most_ = std::max(most_, under_way_);
    }
    return true;
  }

  // Where one more frame fits: behind the last one, or in front of the first one.
  std::size_t place() const {
    if (frames_.empty()) return 0;
    const std::size_t begin = frames_.front().at, end = frames_.back().at + frames_.back().size;
    if (frames_.back().at >= begin) {
      if (end + kLargest <= kRoom) return end;
      return kLargest < begin ? 0 : kNone;
    }
    return end + kLargest < begin ? end : kNone;
  }

  void deliver_due() {
    while (!frames_.empty()) {
      const Frame frame = frames_.front();
      const auto late = Clock::now() - frame.due;
      if (late.count() < 0) return;
      latest_ = std::max(latest_, late);
      if (::write(to_, room_.data() + frame.at, frame.size) < 0) ++refused_;
      ++count_;
      bytes_ += frame.size;
      under_way_ -= frame.size;
      frames_.pop_front();
    }
  }

  static constexpr std::size_t kNone = ~std::size_t{0};
  const int from_, to_, stop_;
  const std::chrono::nanoseconds delay_;
  std::vector<std::byte> room_;
  std::deque<Frame> frames_;
  std::byte spill_[kLargest];
  std::size_t under_way_ = 0, most_ = 0;
  std::uint64_t count_ = 0, bytes_ = 0, dropped_ = 0, refused_ = 0;
  std::chrono::nanoseconds latest_{0};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: holdfast-long-wire NAMESPACE DEVICE NAMESPACE DEVICE MICROSECONDS\n", stderr);
    return 2;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t asked;
  ::sigemptyset(&asked);
  ::sigaddset(&asked, SIGTERM);
  ::sigaddset(&asked, SIGINT);
  ::sigprocmask(SIG_BLOCK, &asked, nullptr);
  const int left = open_tap(argv[1], argv[2]), right = open_tap(argv[3], argv[4]);
  const int stop = ::eventfd(0, EFD_CLOEXEC);
  const std::chrono::microseconds delay(std::atol(argv[5]));
  Direction there(left, right, stop, delay), back(right, left, stop, delay);
  std::thread first([&] { there.run(); }), second([&] { back.run(); });
  std::puts("ready");
  std::fflush(stdout);
  int number = 0;
  ::sigwait(&asked, &number);
  const std::uint64_t two = 2;
  if (::write(stop, &two, sizeof two) < 0) give_up("stop");
  first.join();
  second.join();
  std::fputs("{", stdout);
  there.report("there");
  std::fputs(", ", stdout);
  back.report("back");
  std::puts("}");
  return 0;
}
