// The oracle and a log that goes from one owner to the next. A former owner may be stopped, cut off from storage, or
// not know yet: what it repeats must have been true when its epoch ended, and it says nothing that it would first have
// to hear from storage.
#include <algorithm>

#include "sim/oracle.h"
#include "wire/arp.h"
#include "wire/ethernet.h"

namespace holdfast::sim {

void Oracle::epoch_begins() {
  if (owners_) begin_life();
}

void Oracle::former_owner_sends(const Packet& packet, log::Epoch epoch) {
  const auto ethernet = wire::parse_ethernet(packet.bytes);
  if (ethernet && ethernet->ether_type == wire::kEtherTypeArp) {
    return context_.fail("the owner of epoch {} asserts the address by ARP in epoch {}", epoch.counter,
                         model_.epoch().counter);
  }
  const auto view = view_tcp(packet);
  if (!view) return;
  const wire::FourTuple tuple{view->source(), view->destination()};
  if (view->tcp.flags.rst) {
    return context_.fail("{}: the owner of epoch {} resets it in epoch {}", tuple.to_string(), epoch.counter,
                         model_.epoch().counter);
  }
  if (view->tcp.flags.syn) {
    if (model_.ended(epoch, tuple, view->tcp.seq) != nullptr) return;
    return context_.fail("{}: SYN-ACK of epoch {}, at whose end no record was stored", tuple.to_string(),
                         epoch.counter);
  }
  Flow* flow = flow_of_node_segment(tuple, *view);
  if (flow == nullptr)
    return context_.fail("a segment of no connection, of epoch {}: {}", epoch.counter, describe(packet));
  check_former(*flow, *view, Bytes(packet.bytes).subspan(view->payload_at, view->payload_size), epoch);
}

void Oracle::check_former(Flow& flow, const TcpView& view, Bytes payload, log::Epoch epoch) {
  const DurableStream* stream = model_.ended(epoch, flow.tuple, *flow.iss);
  if (stream == nullptr) {
    return context_.fail("{}: a segment of epoch {}, at whose end no record was stored", flow.tuple.to_string(),
                         epoch.counter);
  }
  const std::uint64_t ack = flow.in_offset(view.tcp.ack);
  const bool covers_fin = flow.fin_at && ack == *flow.fin_at + 1;
  const std::uint64_t edge = covers_fin ? *flow.fin_at : ack;
  if (edge > stream->in_end || (covers_fin && !stream->in_fin)) {
    return context_.fail("{}: the owner of epoch {} acknowledges {}, its epoch ended with {} stored",
                         flow.tuple.to_string(), epoch.counter, ack, stream->in_end);
  }
  const std::uint64_t begin = flow.out_offset(view.tcp.seq), end = begin + payload.size();
  const bool fin = view.tcp.flags.fin;
  if (payload.empty() && !fin) return;
  if (end > stream->out_end || (fin && (!stream->out_fin || end != stream->out_end))) {
    return context_.fail("{}: outbound bytes up to {} of epoch {} leave, which ended with {} stored",
                         flow.tuple.to_string(), end, epoch.counter, stream->out_end);
  }
  if (flow.plan != nullptr && flow.plan->content.matching(begin, payload) != payload.size()) {
    return context_.fail("{}: wrong outbound bytes at {}, of epoch {}", flow.tuple.to_string(),
                         begin + flow.plan->content.matching(begin, payload), epoch.counter);
  }
  // Its peer may acknowledge to the owner what it has from this one.
  flow.out_end = std::max(flow.out_end, end);
  flow.fin_sent |= fin;
}

}  // namespace holdfast::sim
