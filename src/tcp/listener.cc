#include "tcp/listener.h"

namespace holdfast::tcp {

Verdict Listener::judge(const wire::FourTuple& tuple, const SegmentIn& segment) const {
  const wire::TcpFlags& flags = segment.header.flags;
  // RFC 9293 MUST-63, MUST-57: nobody at such addresses can have sent it, or is to be answered.
  if (!tuple.peer.address.is_unicast_host() && !tuple.peer.address.is_loopback()) return Verdict::kIgnore;
  if (tuple.local.address.is_multicast() || tuple.local.address.is_broadcast()) return Verdict::kIgnore;
  if (tuple.peer.port.value == 0 || tuple.peer == tuple.local) return Verdict::kIgnore;
  if (flags.rst) return Verdict::kIgnore;                // first
  if (flags.ack) return Verdict::kRefuse;                // second
  if (!flags.syn || flags.fin) return Verdict::kIgnore;  // fourth; SYN with FIN is never sent in earnest
  return half_open_ < backlog_ ? Verdict::kAccept : Verdict::kFull;
}

}  // namespace holdfast::tcp
