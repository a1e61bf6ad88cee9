#include "tcp/reset.h"

namespace holdfast::tcp {

std::optional<wire::TcpHeader> refusal_for(const SegmentIn& segment) {
  const wire::TcpHeader& in = segment.header;
  if (in.flags.rst) return std::nullopt;
  wire::TcpHeader out;
  out.source = in.destination;
  out.destination = in.source;
  out.flags.rst = true;
  if (in.flags.ack) {
    out.seq = in.ack;
  } else {
    const auto length =
        static_cast<std::uint32_t>(segment.payload.size()) + (in.flags.syn ? 1 : 0) + (in.flags.fin ? 1 : 0);
    out.flags.ack = true;
    out.ack = in.seq + length;
  }
  return out;
}

}  // namespace holdfast::tcp
