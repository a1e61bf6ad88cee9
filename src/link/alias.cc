// rtnetlink(7): the alias is reachable no other way where /sys shows another network namespace.
#include <fmt/core.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "link/interface.h"

namespace holdfast::link {
namespace {

// An interface's attributes take about 2 KiB.
constexpr std::size_t kMaxAnswer = 64U << 10;

std::unexpected<Error> refuse(const std::string& name, const char* what, int error) {
  const char* const hint = error == EPERM ? ": run as root or with CAP_NET_ADMIN" : "";
  return fail(Error::Kind::kUnavailable,
              fmt::format("{}: cannot {} the alias: {}{}", name, what, std::generic_category().message(error), hint));
}

struct Request {
  nlmsghdr header{};
  ifinfomsg body{};
  rtattr attribute{};
  std::array<char, kMaxAlias + 1> alias{};
};

// 0, or an errno value. The kernel answers a request before the call that sends it returns.
int ask(const Request& request, std::vector<char>& answer) {
  const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (socket < 0) return errno;
  answer.resize(kMaxAnswer);
  ssize_t size = ::send(socket, &request, request.header.nlmsg_len, 0);
  if (size >= 0) size = ::recv(socket, answer.data(), answer.size(), 0);
  const int error = errno;
  ::close(socket);
  if (size < 0) return error;
  answer.resize(static_cast<std::size_t>(size));
  if (answer.size() < sizeof(nlmsghdr)) return EPROTO;
  nlmsghdr header{};
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_type != NLMSG_ERROR) return 0;
  nlmsgerr verdict{};
  if (answer.size() < sizeof header + sizeof verdict) return EPROTO;
  std::memcpy(&verdict, answer.data() + sizeof header, sizeof verdict);
  return -verdict.error;
}

int request_for(const std::string& name, std::uint16_t type, std::uint16_t flags, Request& request) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return errno;
  request.header.nlmsg_len = sizeof request.header + sizeof request.body;
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  request.body.ifi_family = AF_UNSPEC;
  request.body.ifi_index = static_cast<int>(index);
  return 0;
}

}  // namespace

Result<std::string> alias_of(const std::string& name) {
  Request request;
  std::vector<char> answer;
  int error = request_for(name, RTM_GETLINK, 0, request);
  if (error == 0) error = ask(request, answer);
  if (error != 0) return refuse(name, "look at", error);
  std::size_t at = sizeof(nlmsghdr) + sizeof(ifinfomsg);
  while (at + sizeof(rtattr) <= answer.size()) {
    rtattr attribute{};
    std::memcpy(&attribute, answer.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > answer.size()) break;
    if (attribute.rta_type == IFLA_IFALIAS) {
      std::string alias(answer.data() + at + sizeof attribute, attribute.rta_len - sizeof attribute);
      return alias.substr(0, alias.find('\0'));
    }
    at += RTA_ALIGN(attribute.rta_len);
  }
  return std::string();
}

Result<void> set_alias(const std::string& name, const std::string& alias) {
  if (alias.size() > kMaxAlias) return refuse(name, "set", E2BIG);
  Request request;
  std::vector<char> answer;
  int error = request_for(name, RTM_NEWLINK, NLM_F_ACK, request);
  if (error != 0) return refuse(name, "set", error);
  request.attribute.rta_type = IFLA_IFALIAS;
  // Without its terminator: an empty one takes the alias away.
  request.attribute.rta_len = static_cast<std::uint16_t>(sizeof request.attribute + alias.size());
  alias.copy(request.alias.data(), alias.size());
  request.header.nlmsg_len += static_cast<std::uint32_t>(RTA_ALIGN(request.attribute.rta_len));
  error = ask(request, answer);
  if (error != 0) return refuse(name, "set", error);
  return {};
}

}  // namespace holdfast::link
