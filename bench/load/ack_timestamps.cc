#include "load/ack_timestamps.h"

// clang-format off: errqueue.h uses timespec without declaring it
#include <time.h>
#include <linux/errqueue.h>
// clang-format on
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "common/socket.h"

namespace holdfast::bench {

void watch_acks(int fd) {
  const int flags =
      SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
  if (::setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) != 0) die_errno("SO_TIMESTAMPING");
}

std::uint64_t take_ack(int fd, std::uint64_t acked) {
  alignas(cmsghdr) std::array<char, 256> control;
  msghdr message{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  // EAGAIN: the queue is empty. A broken connection shows at the next send or receive.
  if (::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return acked;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR) continue;
    sock_extended_err error{};
    std::memcpy(&error, CMSG_DATA(c), sizeof error);
    if (error.ee_origin != SO_EE_ORIGIN_TIMESTAMPING || error.ee_info != SCM_TSTAMP_ACK) continue;
    // ee_data is the offset of the last byte, modulo 2^32.
    const auto ahead = static_cast<std::int32_t>(error.ee_data + 1 - static_cast<std::uint32_t>(acked));
    if (ahead > 0) acked += static_cast<std::uint64_t>(ahead);
  }
  return acked;
}

}  // namespace holdfast::bench
