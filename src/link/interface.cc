#include "link/interface.h"

#include <fmt/core.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace holdfast::link {
namespace {

// Frames that wait for a node that is being restarted: one from each of as many peers as a node has, and more. (The
// kernel's default is 500 for a TAP device; beyond it frames are dropped, and their senders wait for their time-outs.)
constexpr int kQueueLength = 65536;

std::unexpected<Error> refuse(const std::string& name, const std::string& what, int error) {
  const char* const hint = error == EPERM ? ": run as root or with CAP_NET_ADMIN" : "";
  return fail(Error::Kind::kUnavailable,
              fmt::format("{}: cannot {}: {}{}", name, what, std::generic_category().message(error), hint));
}

// Not where it may not be done, nor where an administrator gave it more: then more is lost while the node is away.
void lengthen_queue(int socket, ifreq request) {
  if (::ioctl(socket, SIOCGIFTXQLEN, &request) != 0 || request.ifr_qlen >= kQueueLength) return;
  request.ifr_qlen = kQueueLength;
  ::ioctl(socket, SIOCSIFTXQLEN, &request);
}

Result<void> bring_up_through(int socket, const std::string& name, std::uint16_t mtu) {
  ifreq request{};
  std::ranges::copy(name, request.ifr_name);
  if (::ioctl(socket, SIOCGIFMTU, &request) != 0) return refuse(name, "look at the interface", errno);
  if (request.ifr_mtu != mtu) {
    request.ifr_mtu = mtu;
    if (::ioctl(socket, SIOCSIFMTU, &request) != 0) return refuse(name, fmt::format("set the MTU to {}", mtu), errno);
  }
  lengthen_queue(socket, request);
  if (::ioctl(socket, SIOCGIFFLAGS, &request) != 0) return refuse(name, "look at the interface", errno);
  if ((request.ifr_flags & IFF_UP) != 0) return {};
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket, SIOCSIFFLAGS, &request) != 0) return refuse(name, "bring the interface up", errno);
  return {};
}

}  // namespace

bool is_interface_name(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") return false;
  return std::ranges::none_of(name, [](char c) { return c == '/' || c == ':' || c <= ' ' || c == '\x7f'; });
}

Result<void> bring_up(const std::string& name, std::uint16_t mtu) {
  if (!is_interface_name(name)) return fail(Error::Kind::kUsage, fmt::format("'{}' is no name of an interface", name));
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return refuse(name, "open a socket", errno);
  auto result = bring_up_through(socket, name, mtu);
  ::close(socket);
  return result;
}

}  // namespace holdfast::link
