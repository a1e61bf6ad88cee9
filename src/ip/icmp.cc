// ICMP (RFC 792, RFC 1122 section 3.2.2): echoes, errors about what we sent, errors about what we can't take.
#include <algorithm>
#include <array>

#include "base/endian.h"
#include "ip/impl.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/tcp.h"

namespace holdfast::ip {
namespace {

constexpr std::size_t kHeaders = wire::kEthernetHeader + wire::kIpv4MinHeader;
constexpr std::size_t kLeastQuotedPayload = 8;  // RFC 792: ports and sequence number
constexpr std::size_t kMaxQuotedPayload =
    kMaxErrorDatagram - wire::kIpv4MinHeader - wire::kIcmpHeader - wire::kIpv4MinHeader;

}  // namespace

void Ip::Impl::on_icmp(Datagram datagram, Time now) {
  linearise(datagram.head, datagram.body);
  const auto message = wire::parse_icmp(datagram.head);
  if (!message) return drop(message.error());
  switch (message->type) {
    case wire::kIcmpEchoRequest:
      return on_echo_request(datagram, *message, now);
    case wire::kIcmpDestinationUnreachable:
    case wire::kIcmpTimeExceeded:
    case wire::kIcmpParameterProblem:
      return on_icmp_error(*message, now);
    default:
      // Source quench is obsolete (RFC 6633); redirects would let any neighbour take our traffic, and there is one
      // gateway.
      ++counters.dropped_unsupported;
  }
}

void Ip::Impl::on_echo_request(const Datagram& datagram, const wire::IcmpMessage& message, Time now) {
  if (!own_address.announced()) return;
  const std::size_t length = wire::kIcmpHeader + message.payload.size();
  const auto hop = next_hop(datagram.header.source);
  if (!hop) {
    ++counters.dropped_no_route;
    return;
  }
  if (wire::kIpv4MinHeader + length > config.mtu || !echoes.take(now)) {
    ++counters.dropped_rate_limited;
    return;
  }
  ++counters.icmp_echo;
  std::array<std::byte, kHeaders + wire::kIcmpHeader> head;
  emit_headers(datagram.header.source, wire::kProtocolIcmp, length, head);
  // The same message but for its type, and its checksum thereby.
  std::byte* icmp = head.data() + kHeaders;
  const std::byte* request = datagram.head.data();
  store_be16(icmp, std::uint16_t{wire::kIcmpEchoReply} << 8);
  store_be16(icmp + 2, wire::update_checksum(load_be16(request + 2), load_be16(request), load_be16(icmp)));
  store_be32(icmp + 4, message.rest);
  wire::TxFrame frame;
  frame.head = head;
  frame.payload[0] = message.payload;
  neighbours.send(*hop, head, frame, now);
}

void Ip::Impl::on_icmp_error(const wire::IcmpMessage& message, Time now) {
  const auto quote = wire::parse_icmp_quote(message);
  if (!quote) return drop(quote.error());
  const wire::Ipv4Header& quoted = quote->header;
  // RFC 5927 section 4: an error about a segment that we can't have sent is nobody's business. All that it must quote
  // are ports and sequence number; whether that is outstanding is for TCP to say.
  if (quoted.source != config.address.address || quoted.protocol != wire::kProtocolTcp || quoted.fragment_offset != 0 ||
      !quoted.destination.is_unicast_host()) {
    ++counters.dropped_not_for_us;
    return;
  }
  ++counters.icmp_errors_in;
  const bool too_big =
      message.type == wire::kIcmpDestinationUnreachable && message.code == wire::kIcmpFragmentationNeeded;
  const auto next_hop_mtu = static_cast<std::uint16_t>(too_big ? message.rest & 0xffff : 0);
  if (too_big) path_mtu.lower(quoted.destination, next_hop_mtu, quoted.total_length, now);

  const std::byte* tcp = quote->transport.data();
  host.on_icmp_error({.type = message.type,
                      .code = message.code,
                      .next_hop_mtu = next_hop_mtu,
                      .tuple = {.local = {quoted.source, wire::Port{load_be16(tcp)}},
                                .peer = {quoted.destination, wire::Port{load_be16(tcp + 2)}}},
                      .seq = wire::SeqNum{load_be32(tcp + 4)}},
                     now);
}

// Whether an error may leave is its caller's to know. Empty where its first hop is not known. Quotes the header without
// options, as it was otherwise.
Bytes Ip::Impl::emit_icmp_error(std::uint8_t type, std::uint8_t code, const wire::Ipv4Header& about, Bytes payload,
                                std::optional<wire::MacAddress> from, std::span<std::byte, kMaxErrorFrame> out) {
  const auto hop = next_hop(about.source);
  auto to = hop ? neighbours.find(*hop) : std::nullopt;
  if (!to) to = from;
  if (!hop || !to) {
    ++counters.dropped_no_route;
    return {};
  }
  const Bytes quoted = payload.first(std::min(payload.size(), kMaxQuotedPayload));
  const std::size_t length = wire::kIcmpHeader + wire::kIpv4MinHeader + quoted.size();
  const MutableBytes frame = MutableBytes(out).first(kHeaders + length);
  emit_headers(about.source, wire::kProtocolIcmp, length, frame);
  wire::store_mac(frame.data(), *to);

  const MutableBytes quotation = frame.subspan(kHeaders + wire::kIcmpHeader);
  wire::Ipv4Header header = about;
  header.total_length = static_cast<std::uint16_t>(wire::kIpv4MinHeader + about.payload_length());
  wire::emit_ipv4(header, quotation);
  std::copy(quoted.begin(), quoted.end(), quotation.begin() + wire::kIpv4MinHeader);
  wire::emit_icmp({.type = type, .code = code, .rest = 0, .payload = quotation}, frame.subspan(kHeaders));
  return frame;
}

// RFC 1122 section 3.2.2 forbids errors about ICMP errors, broadcasts, sources that are no host and fragments but the
// first: none of these gets here.
void Ip::Impl::send_icmp_error(std::uint8_t type, std::uint8_t code, const wire::Ipv4Header& about, Bytes payload,
                               std::optional<wire::MacAddress> from, Time now) {
  if (!own_address.announced()) return;
  std::array<std::byte, kMaxErrorFrame> buffer;
  const Bytes frame = emit_icmp_error(type, code, about, payload, from, buffer);
  if (frame.empty()) return;
  if (!errors.take(now)) {
    ++counters.dropped_rate_limited;
    return;
  }
  ++counters.icmp_errors_out;
  output.transmit_assertion(frame, now);
}

void Ip::Impl::send_host_unreachable(const wire::FourTuple& tuple, wire::SeqNum seq) {
  std::array<std::byte, kLeastQuotedPayload> quoted;
  store_be16(quoted.data(), tuple.peer.port.value);
  store_be16(quoted.data() + 2, tuple.local.port.value);
  store_be32(quoted.data() + 4, seq.value);
  const wire::Ipv4Header about{.total_length = wire::kIpv4MinHeader + wire::kTcpMinHeader,
                               .dont_fragment = true,
                               .protocol = wire::kProtocolTcp,
                               .source = tuple.peer.address,
                               .destination = tuple.local.address};
  std::array<std::byte, kMaxErrorFrame> buffer;
  const Bytes frame = emit_icmp_error(wire::kIcmpDestinationUnreachable, wire::kIcmpHostUnreachable, about, quoted,
                                      std::nullopt, buffer);
  if (frame.empty()) return;
  ++counters.icmp_errors_out;
  wire::TxFrame out;
  out.head = frame;
  output.transmit(out);
}

}  // namespace holdfast::ip
