// Every packet parser on the same bytes; what one accepts, its emitter writes and the parser reads again.
#include <vector>

#include "fuzz/check.h"
#include "wire/arp.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace holdfast::wire {
namespace {

void ethernet_and_arp(Bytes input) {
  if (const auto header = parse_ethernet(input)) {
    std::vector<std::byte> out(kEthernetHeader);
    emit_ethernet(*header, out);
    FUZZ_CHECK(parse_ethernet(out) == header);
  }
  if (const auto packet = parse_arp(input)) {
    std::vector<std::byte> out(kArpPacket);
    emit_arp(*packet, out);
    FUZZ_CHECK(parse_arp(out) == packet);
  }
}

void ipv4(Bytes input) {
  if (const auto header = parse_ipv4(input, input.size())) {
    FUZZ_CHECK(header->total_length <= input.size() && header->header_length <= header->total_length);
    Ipv4Header without_options = *header;
    without_options.header_length = kIpv4MinHeader;
    std::vector<std::byte> out(kIpv4MinHeader);
    emit_ipv4(without_options, out);
    const auto again = parse_quoted_ipv4(out);
    FUZZ_CHECK(again == without_options);
  }
  if (const auto header = parse_quoted_ipv4(input)) FUZZ_CHECK(header->header_length <= input.size());
}

void icmp(Bytes input) {
  const auto message = parse_icmp(input);
  if (!message) return;
  std::vector<std::byte> out(input.size());
  FUZZ_CHECK(emit_icmp(*message, out) == input.size());
  FUZZ_CHECK(parse_icmp(out).has_value());
  if (const auto quote = parse_icmp_quote(*message)) FUZZ_CHECK(quote->transport.size() >= 8);
}

void tcp(Bytes input) {
  const auto parsed = parse_tcp(input);
  if (!parsed) return;
  FUZZ_CHECK(parsed->header_length >= kTcpMinHeader && parsed->header_length <= input.size());
  std::vector<std::byte> out(kTcpMaxHeader);
  const std::size_t length = emit_tcp(parsed->header, out);
  const auto again = parse_tcp(Bytes(out).first(length));
  FUZZ_CHECK(again.has_value() && again->header_length == length);
  const TcpHeader& a = parsed->header;
  const TcpHeader& b = again->header;
  FUZZ_CHECK(a.seq == b.seq && a.ack == b.ack && a.flags == b.flags && a.window == b.window);
  FUZZ_CHECK(a.options.mss == b.options.mss && a.options.window_scale == b.options.window_scale);
  FUZZ_CHECK(a.options.timestamps == b.options.timestamps && a.options.sack_permitted == b.options.sack_permitted);
  FUZZ_CHECK(b.options.sack.count <= a.options.sack.count);
}

}  // namespace
}  // namespace holdfast::wire

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace holdfast;
  const Bytes input = std::as_bytes(std::span(data, size));
  wire::ethernet_and_arp(input);
  wire::ipv4(input);
  wire::icmp(input);
  wire::tcp(input);
  if (const auto header = wire::parse_udp(input, size)) FUZZ_CHECK(header->length <= size);
  return 0;
}
