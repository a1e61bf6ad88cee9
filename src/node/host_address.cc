#include "node/host_address.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/endian.h"
#include "location/unique_fd.h"

namespace holdfast::node {
namespace {

// An RTM_NEWADDR message with its three attributes: local, address, broadcast.
struct NewAddress {
  nlmsghdr header{};
  ifaddrmsg body{};
  struct {
    rtattr header{};
    std::uint32_t address = 0;  // network order
  } attributes[3];
};

Error failed(const std::string& what, int error) {
  const char* advice = error == EPERM ? "run as root or with CAP_NET_ADMIN" : "set it with `ip`";
  return {Error::Kind::kUnavailable, fmt::format("{}: {}: {}", what, std::strerror(error), advice)};
}

Result<void> bring_up(const std::string& interface) {
  const location::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
  if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) {
    return std::unexpected(failed("can't look at interface " + interface, errno));
  }
  if ((request.ifr_flags & IFF_UP) != 0) return {};
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) {
    return std::unexpected(failed("can't bring up interface " + interface, errno));
  }
  return {};
}

NewAddress new_address(unsigned index, const wire::Ipv4Prefix& address) {
  NewAddress message;
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = RTM_NEWADDR;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
  message.header.nlmsg_seq = 1;
  message.body.ifa_family = AF_INET;
  message.body.ifa_prefixlen = address.length;
  message.body.ifa_index = index;
  const std::uint32_t values[3] = {address.address.value, address.address.value, address.broadcast().value};
  const unsigned short types[3] = {IFA_LOCAL, IFA_ADDRESS, IFA_BROADCAST};
  for (int i = 0; i < 3; ++i) {
    message.attributes[i].header = {.rta_len = sizeof message.attributes[i], .rta_type = types[i]};
    store_be32(reinterpret_cast<std::byte*>(&message.attributes[i].address), values[i]);
  }
  return message;
}

std::uint32_t value_of(const sockaddr* address) {
  sockaddr_in in{};
  std::memcpy(&in, address, sizeof in);
  return load_be32(reinterpret_cast<const std::byte*>(&in.sin_addr.s_addr));
}

// Of all interfaces; none where the kernel does not tell: ARP conflicts will.
template <class Take>
void for_each_address(Take&& take) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    const std::uint32_t mask = entry->ifa_netmask == nullptr ? ~std::uint32_t{0} : value_of(entry->ifa_netmask);
    take(entry->ifa_name, wire::Ipv4Address{value_of(entry->ifa_addr)}, mask);
  }
}

// The kernel's verdict on a request: 0 or an errno.
int verdict(int socket) {
  alignas(nlmsghdr) char answer[4096];
  const auto size = ::recv(socket, answer, sizeof answer, 0);
  if (size < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(nlmsgerr))) return EPROTO;
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
  if (header->nlmsg_type != NLMSG_ERROR) return EPROTO;
  return -reinterpret_cast<const nlmsgerr*>(NLMSG_DATA(header))->error;
}

}  // namespace

Result<void> configure_host_end(const std::string& interface, const wire::Ipv4Prefix& address) {
  if (auto up = bring_up(interface); !up) return up;
  const location::UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const auto what = fmt::format("can't give {} to interface {}", address.to_string(), interface);
  if (!socket) return std::unexpected(failed(what, errno));
  const auto message = new_address(::if_nametoindex(interface.c_str()), address);
  if (::send(socket.get(), &message, sizeof message, 0) < 0) return std::unexpected(failed(what, errno));
  if (const int error = verdict(socket.get()); error != 0 && error != EEXIST) {
    return std::unexpected(failed(what, error));
  }
  return {};
}

std::string rival_interface(const std::string& interface, wire::Ipv4Address address) {
  std::string rival;
  for_each_address([&](const char* name, wire::Ipv4Address own, std::uint32_t mask) {
    if (interface != name && (own.value & mask) == (address.value & mask)) rival = name;
  });
  return rival;
}

Result<void> check_not_ours(wire::Ipv4Address address) {
  std::string owner;
  for_each_address([&](const char* name, wire::Ipv4Address own, std::uint32_t /*mask*/) {
    if (own == address) owner = name;
  });
  if (owner.empty()) return {};
  return fail(Error::Kind::kUnavailable,
              fmt::format("address {} is in use: this host's interface {} has it: choose another for --address",
                          address.to_string(), owner));
}

}  // namespace holdfast::node
