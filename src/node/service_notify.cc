#include "node/service_notify.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "location/unique_fd.h"
#include "node/values.h"

namespace holdfast::node {
namespace {

constexpr int kFirstPassedDescriptor = 3;  // SD_LISTEN_FDS_START

struct SocketAddress {
  sockaddr_un address{};
  socklen_t length = 0;
};

std::optional<SocketAddress> notify_address() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  SocketAddress result;
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return std::nullopt;
  const auto length = std::strlen(path);
  if (length < 2 || length >= sizeof result.address.sun_path) return std::nullopt;
  result.address.sun_family = AF_UNIX;
  std::memcpy(result.address.sun_path, path, length);
  if (path[0] == '@') result.address.sun_path[0] = '\0';  // abstract
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  return result;
}

bool send_datagram(const std::string& state, int fd) {
  auto to = notify_address();
  if (!to) return false;
  const location::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return false;
  std::string text = state;
  iovec piece{text.data(), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_name = &to->address;
  message.msg_namelen = to->length;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL) >= 0;
}

std::optional<std::uint64_t> environment_number(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  auto parsed = parse_number(text, 0, 1U << 30);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

}  // namespace

bool notify_service(const std::string& state) { return send_datagram(state, -1); }

bool store_descriptor(int fd, const std::string& name) { return send_datagram("FDSTORE=1\nFDNAME=" + name, fd); }

void forget_descriptors(const std::string& name) { send_datagram("FDSTOREREMOVE=1\nFDNAME=" + name, -1); }

std::vector<int> take_descriptors(const std::string& name) {
  std::vector<int> taken;
  const auto pid = environment_number("LISTEN_PID");
  const auto count = environment_number("LISTEN_FDS");
  const char* names = std::getenv("LISTEN_FDNAMES");
  if (!pid || !count || names == nullptr || *pid != static_cast<std::uint64_t>(::getpid())) return taken;
  std::string_view rest = names;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto colon = rest.find(':');
    const int fd = kFirstPassedDescriptor + static_cast<int>(i);
    if (rest.substr(0, colon) == name && ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) taken.push_back(fd);
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return taken;
}

bool is_service_variable(std::string_view variable) {
  const auto name = variable.substr(0, variable.find('='));
  return name == "NOTIFY_SOCKET" || name == "LISTEN_PID" || name == "LISTEN_FDS" || name == "LISTEN_FDNAMES";
}

}  // namespace holdfast::node
