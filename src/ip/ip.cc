#include "ip/ip.h"

#include <algorithm>

#include "base/assert.h"
#include "ip/impl.h"

namespace holdfast::ip {

Ip::Impl::Impl(ip::Host& to_host, wire::FrameSink& link, const Config& configuration)
    : host(to_host),
      config(configuration),
      output(to_host, link, counters),
      neighbours(output, config, counters),
      own_address(output, config, counters),
      reassembly(counters.dropped_reassembly),
      path_mtu(config.seed),
      next_id(static_cast<std::uint16_t>(config.seed >> 16)),
      scratch(std::make_unique_for_overwrite<std::byte[]>(kScratch)) {
  HF_ASSERT(config.mtu >= 576);
  HF_ASSERT(!config.mac.is_multicast() && config.address.address.is_unicast_host() && config.address.length <= 32);
}

Ip::Ip(Host& host, wire::FrameSink& link, const Config& config) : impl_(std::make_unique<Impl>(host, link, config)) {}
Ip::~Ip() = default;

void Ip::on_frame(const wire::RxFrame& frame, Time now) {
  HF_ASSERT(!impl_->receiving);
  impl_->receiving = true;
  impl_->on_frame(frame, now);
  impl_->receiving = false;
}

Time Ip::deadline() const {
  return std::min({impl_->neighbours.deadline(), impl_->own_address.deadline(), impl_->reassembly.deadline()});
}

void Ip::on_deadline(Time now) {
  impl_->neighbours.on_deadline(now);
  impl_->own_address.on_deadline(now);
  std::optional<Reassembly::Expired> expired;
  while (impl_->reassembly.expire(now, expired)) {
    // RFC 1122 section 3.3.2: told when the first fragment came; code 1, "fragment reassembly time exceeded". Never
    // about ICMP, which may have been an error itself (section 3.2.2).
    if (expired && expired->header.protocol != wire::kProtocolIcmp) {
      impl_->send_icmp_error(wire::kIcmpTimeExceeded, 1, expired->header, expired->first, std::nullopt, now);
    }
  }
}

void Ip::announce(Time now) {
  impl_->own_address.announce(now);
  impl_->neighbours.start(now);
}

void Ip::send_tcp(wire::Ipv4Address destination, MutableBytes header, const std::array<Bytes, 2>& payload,
                  std::uint16_t gso_size, Time now) {
  impl_->send_tcp(destination, header, payload, gso_size, now);
}

void Ip::on_clearance(Time now) { impl_->neighbours.on_clearance(now); }

void Ip::send_host_unreachable(const wire::FourTuple& tuple, wire::SeqNum seq) {
  impl_->send_host_unreachable(tuple, seq);
}

bool Ip::settled(wire::Ipv4Address destination, Time now) {
  const auto hop = impl_->next_hop(destination);
  return !hop || impl_->neighbours.settled(*hop, now);
}

std::uint16_t Ip::path_mtu(wire::Ipv4Address destination, Time now) const {
  return impl_->path_mtu.get(destination, impl_->config.mtu, now);
}

const Config& Ip::config() const { return impl_->config; }
const Counters& Ip::counters() const { return impl_->counters; }

}  // namespace holdfast::ip
