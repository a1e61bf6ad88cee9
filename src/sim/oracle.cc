// The oracle's notes: what peers sent, what reached the node. The checks are in oracle_checks.cc.
#include "sim/oracle.h"

#include <algorithm>

#include "base/assert.h"
#include "wire/arp.h"
#include "wire/ethernet.h"

namespace holdfast::sim {

namespace {

// Until a node looks at what its disks have done.
constexpr Duration kTurn = std::chrono::microseconds(100);

std::optional<wire::ArpPacket> view_arp(const Packet& packet) {
  const auto ethernet = wire::parse_ethernet(packet.bytes);
  if (!ethernet || ethernet->ether_type != wire::kEtherTypeArp) return std::nullopt;
  const auto arp = wire::parse_arp(Bytes(packet.bytes).subspan(wire::kEthernetHeader));
  if (!arp) return std::nullopt;
  return *arp;
}

// A moment of a timestamp clock before another (RFC 7323 section 5.2).
bool ts_before(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

}  // namespace

// ---- The script ----

void Oracle::expect(const wire::FourTuple& tuple, const StreamPlan& plan) {
  expected_[tuple] = &plan;
  if (Flow* flow = newest(tuple); flow != nullptr && flow->plan == nullptr && flow->valid) flow->plan = &plan;
}

void Oracle::peer_gone(const wire::FourTuple& tuple) {
  for (Flow* flow : by_tuple_[tuple]) flow->valid = false;
  expected_.erase(tuple);
}

void Oracle::node_aborts(const wire::FourTuple& tuple) {
  if (Flow* flow = newest(tuple)) {
    flow->valid = false;
    flow->aborted_by_node = true;
  }
}

// ---- Flows ----

Flow* Oracle::newest(const wire::FourTuple& tuple) {
  const auto found = by_tuple_.find(tuple);
  if (found == by_tuple_.end()) return nullptr;
  const auto genuine =
      std::find_if(found->second.rbegin(), found->second.rend(), [](const Flow* flow) { return !flow->forged; });
  return genuine == found->second.rend() ? nullptr : *genuine;
}

Flow& Oracle::add_flow(const wire::FourTuple& tuple) {
  Flow& flow = flows_.emplace_back();
  flow.tuple = tuple;
  by_tuple_[tuple].push_back(&flow);
  return flow;
}

Flow* Oracle::flow_of_node_segment(const wire::FourTuple& tuple, const TcpView& view) {
  const auto found = by_tuple_.find(tuple);
  if (found == by_tuple_.end()) return nullptr;
  for (auto at = found->second.rbegin(); at != found->second.rend(); ++at) {
    Flow& flow = **at;
    if (!flow.irs || !flow.iss) continue;
    if (flow.in_offset(view.tcp.ack) > flow.sent_end + 1) continue;
    // One before the first byte: a keepalive probe of a connection that sent nothing.
    if (flow.out_offset(view.tcp.seq + 1) > flow.out_end + (1U << 30)) continue;
    return &flow;
  }
  return nullptr;
}

Flow* Oracle::flow_of_peer_segment(const wire::FourTuple& tuple, const TcpView& view) {
  const auto found = by_tuple_.find(tuple);
  if (found == by_tuple_.end()) return nullptr;
  for (auto at = found->second.rbegin(); at != found->second.rend(); ++at) {
    Flow& flow = **at;
    if (!flow.irs) continue;
    if (view.tcp.seq == *flow.irs) return &flow;
    if (flow.in_offset(view.tcp.seq) + view.payload_size <= flow.sent_end + 1) return &flow;
  }
  return nullptr;
}

void Oracle::note_peer_syn(const wire::FourTuple& tuple, const TcpView& view, bool forged) {
  if (view.tcp.flags.ack) {
    Flow* flow = newest(tuple);
    if (flow == nullptr || !flow->dialled || forged) return;
    flow->irs = view.tcp.seq;
    flow->peer_scale = view.tcp.options.window_scale;
    flow->peer_timestamps = view.tcp.options.timestamps.has_value();
    flow->peer_sack = view.tcp.options.sack_permitted;
    return;
  }
  for (const Flow* flow : by_tuple_[tuple]) {
    if (flow->irs != view.tcp.seq) continue;
    // Sent again; unless the attacker guesses the number of one that the node has forgotten.
    const DurableStream* stream = flow->iss ? model_.find(tuple, *flow->iss) : nullptr;
    const bool forgotten = flow->aborted_by_node || (stream != nullptr && stream->closed);
    if (!forged || flow->forged || !forgotten) return;
  }
  Flow& flow = add_flow(tuple);
  flow.irs = view.tcp.seq;
  flow.peer_scale = flow.syn_scale = view.tcp.options.window_scale;
  flow.peer_timestamps = view.tcp.options.timestamps.has_value();
  flow.peer_sack = view.tcp.options.sack_permitted;
  flow.forged = flow.syn_delivered = forged;
  flow.valid = !forged;
  if (forged) return;
  if (const auto expected = expected_.find(tuple); expected != expected_.end()) flow.plan = expected->second;
}

// ---- Taps: towards the node ----

void Oracle::peer_sends(const Packet& packet) {
  const auto view = view_tcp(packet);
  if (!view || view->ip.destination != node_) return;
  const wire::FourTuple tuple{view->destination(), view->source()};
  if (view->tcp.flags.syn) note_peer_syn(tuple, *view, false);
  Flow* flow = newest(tuple);
  if (flow == nullptr || !flow->irs || view->tcp.flags.rst || view->tcp.flags.syn) return;
  note_choice(*flow, *view);
  const std::uint64_t begin = flow->in_offset(view->tcp.seq);
  if (begin == UINT32_MAX) return;  // a keepalive probe of a connection that sent nothing
  const std::uint64_t end = begin + view->payload_size;
  if (view->tcp.flags.fin) flow->fin_at = end;
  if (view->payload_size != 0) flow->sent_end = std::max(flow->sent_end, end);
}

void Oracle::node_receives(const Packet& packet) {
  if (packet.whole != nullptr) {
    auto& seen = fragments_[packet.whole];
    if (!seen.insert(packet.fragment).second || seen.size() != packet.fragments) return;
    return node_receives_tcp(*packet.whole, true);
  }
  node_receives_arp(packet);
  node_receives_tcp(packet, false);
}

void Oracle::node_receives_arp(const Packet& packet) {
  const auto arp = view_arp(packet);
  if (!arp) return;
  resolved_[arp->sender] = context_.now();
  unresolved_.erase(arp->sender);
  if (arp->target == node_) arp_requests_.push_back(model_.issued());
}

void Oracle::node_receives_tcp(const Packet& packet, bool reassembled) {
  const auto view = view_tcp(packet);
  if (!view || view->ip.destination != node_) return;
  const wire::FourTuple tuple{view->destination(), view->source()};
  // While it is asked for, a datagram hints at its sender's link address.
  if (unresolved_.contains(view->ip.source)) resolved_[view->ip.source] = context_.now();
  remember_refusable(tuple, *view);
  if (packet.forged) {
    for (Flow* flow : by_tuple_[tuple]) ++flow->may_repeat_ack;
    if (view->tcp.flags.syn && !view->tcp.flags.ack) note_peer_syn(tuple, *view, true);
    return;
  }
  Flow* flow = flow_of_peer_segment(tuple, *view);
  if (flow == nullptr) return;
  const bool may_open = flow->chosen && flow->by_cookie && !view->tcp.flags.syn && !view->tcp.flags.rst;
  if (may_open && !flow->opener && view->tcp.ack == *flow->iss + 1 && view->tcp.seq == *flow->irs + 1) {
    flow->opener = std::make_shared<const Packet>(packet);
  }
  note_delivered(*flow, *view, reassembled);
}

// RFC 9293 section 3.10.7.1: what the answer to a segment of no connection is.
void Oracle::remember_refusable(const wire::FourTuple& tuple, const TcpView& view) {
  if (view.tcp.flags.rst) return;
  const Refusal refusal = view.tcp.flags.ack ? Refusal{tuple, view.tcp.ack.value, 0}
                                             : Refusal{tuple, 0, view.tcp.seq.value + view.length()};
  refusable_[refusal].push_back(model_.issued());
}

void Oracle::note_delivered(Flow& flow, const TcpView& view, bool reassembled) {
  const wire::TcpFlags& flags = view.tcp.flags;
  note_delivered_ack(flow, view);
  const auto& ts = view.tcp.options.timestamps;
  const bool is_old = ts && flow.timestamps && flow.highest_ts && ts_before(ts->value, *flow.highest_ts);
  if (ts && (!flow.highest_ts || ts_before(*flow.highest_ts, ts->value))) flow.highest_ts = ts->value;
  if (flags.rst) {
    flow.reset_delivered = true;
    const std::uint64_t edge = flow.delivered.contiguous_from(flow.acked);
    const std::uint64_t next = edge + (flow.fin_delivered && flow.fin_at == edge ? 1 : 0);
    // Storage that is full or stands still may have refused what came.
    const bool may_refuse = storage_stands_still() || context_.now() < refused_until_;
    const bool taken = next == flow.acked + (flow.fin_acked ? 1 : 0) || !may_refuse;
    // What comes before an N-way handshake is over is held, and RCV.NXT stays.
    const DurableStream* stream = flow.iss ? model_.find(flow.tuple, *flow.iss) : nullptr;
    const bool held = flow.ways > wire::kMinWays && (stream == nullptr || !stream->established) && next > flow.acked;
    flow.reset_was_exact |= flow.peer_answered && flow.in_offset(view.tcp.seq) == next && taken && !held;
    return;
  }
  if (flags.syn) {
    flow.syn_delivered = true;
    ++flow.may_repeat_ack;  // a second one is answered by a challenge ACK (RFC 5961 section 4)
    return;
  }
  const std::uint64_t begin = flow.in_offset(view.tcp.seq);
  if (begin == UINT32_MAX) return;
  const std::uint64_t end = begin + view.payload_size;
  flow.ends.insert(end);
  if (end > flow.right_edge) flow.ends.insert(flow.right_edge);  // cut off at the window's edge
  if (flags.fin) {
    flow.fin_delivered = true;
    if (!flow.is_over(context_.now(), msl_)) flow.last_fin_delivered = context_.now();
  }
  if (reassembled || is_old) flow.earlier.add(begin, end);  // it may be taken, or not
  if (reassembled || is_old || view.payload_size == 0) {
    ++flow.may_repeat_ack;
    return;
  }
  if (ts) flow.stamped.push_back({begin, end, ts->value});
  const std::uint64_t edge = flow.delivered.contiguous_from(flow.acked);
  const bool is_next = begin <= edge && end > edge;
  const bool is_unstored_duplicate = end > flow.acked && end <= edge && !flags.fin;
  if (!is_next && !is_unstored_duplicate) ++flow.may_repeat_ack;
  if (begin > edge && !flow.delivered.contains(begin, end))
    flow.above_gaps.try_emplace(begin, Flow::AboveGap{end, edge});
  flow.delivered.add(begin, std::min(end, flow.right_edge));
  if (end > flow.right_edge) flow.earlier.add(std::max(begin, flow.right_edge), end);
  if (!flow.waiting_since && flow.delivered.contiguous_from(flow.acked) > flow.acked) {
    flow.waiting_since = context_.now();
  }
}

void Oracle::note_delivered_ack(Flow& flow, const TcpView& view) {
  if (!view.tcp.flags.ack || !flow.iss) return;
  const std::uint64_t acked = flow.out_offset(view.tcp.ack);
  if (acked > flow.out_end + 1) return;
  flow.peer_answered = flow.answered_in_this_life = true;
  if (flow.fin_sent && acked == flow.out_end + 1) flow.fin_was_acked = true;
  const unsigned shift = view.tcp.flags.syn ? 0 : flow.peer_scale.value_or(0);
  flow.peer_edge = std::max(flow.peer_edge, acked + (std::uint64_t{view.tcp.window} << shift));
  flow.peer_edge_known = true;
}

void Oracle::storage_moved() {
  if (storage_stands_still()) stall_ended_ = context_.now();
  storage_moved_ = context_.now();
  if (epoch_started_ == kNever && model_.epoch_started()) epoch_started_ = context_.now();
}

void Oracle::resumed(const wire::FourTuple& tuple, bool log_is_full) {
  // By the node's clock, which may run fast.
  const Duration long_enough = std::chrono::milliseconds(500) * (1'000'000 - drift_) / 1'000'000;
  for (Flow& flow : flows_) {
    const DurableStream* stream = flow.tuple == tuple && flow.iss ? model_.find(tuple, *flow.iss) : nullptr;
    // All that is stored is acknowledged, wherever the batch ended.
    if (stream != nullptr) flow.ends.insert(stream->in_end);
  }
  if (!log_is_full && (epoch_started_ == kNever || context_.now() - epoch_started_ < long_enough)) return;
  for (Flow& flow : flows_) flow.may_retreat |= flow.tuple == tuple;
}

void Oracle::node_died() {
  begin_life();
  model_.new_life();
}

// Whoever speaks for the node from here on had nothing in memory of what was said before.
void Oracle::begin_life() {
  ++deaths_;
  for (Flow& flow : flows_) flow.node_died();
  refusable_.clear();
  arp_requests_.clear();
  unresolved_.clear();
  epoch_started_ = kNever;
  fragments_.clear();
}

// ---- Taps: from the node ----

void Oracle::node_sends(const Packet& packet) {
  if (!model_.epoch_started()) {
    return context_.fail("a frame leaves before the epoch's start is stored: {}", describe(packet));
  }
  if (const auto arp = view_arp(packet)) return node_sends_arp(packet);
  const auto view = view_tcp(packet);
  if (!view) {
    const auto ethernet = wire::parse_ethernet(packet.bytes);
    const Bytes datagram = Bytes(packet.bytes).subspan(wire::kEthernetHeader);
    if (ethernet && ethernet->ether_type == wire::kEtherTypeIpv4 &&
        wire::ipv4_header_length(datagram) <= datagram.size()) {
      const auto ip = wire::parse_ipv4(datagram, datagram.size());
      if (ip && ip->protocol == wire::kProtocolIcmp) return;
    }
    return context_.fail("the node sends a frame that cannot be read: {}", describe(packet));
  }
  const wire::FourTuple tuple{view->source(), view->destination()};
  check_clock(tuple, *view);
  if (view->tcp.flags.rst) return check_reset(tuple, *view);
  if (view->tcp.flags.syn) return check_syn(tuple, *view);
  Flow* flow = flow_of_node_segment(tuple, *view);
  if (flow == nullptr) return context_.fail("a segment of no connection that anybody asked for: {}", describe(packet));
  check_segment(*flow, *view, Bytes(packet.bytes).subspan(view->payload_at, view->payload_size));
}

void Oracle::node_sends_arp(const Packet& packet) {
  const auto arp = view_arp(packet);
  if (arp->operation != wire::ArpOperation::kReply) {  // a question, or an announcement
    // Each waits for a write, so that it leaves when one has just come through, in the node's next turn.
    if (context_.now() - std::max(storage_moved_, turn_went_on_) > kTurn) {
      return context_.fail("an ARP request leaves, and nothing has become durable since {}",
                           storage_moved_.time_since_epoch().count());
    }
    if (arp->target != node_) unresolved_.insert(arp->target);
    return;
  }
  if (arp_requests_.empty()) return context_.fail("an ARP reply that nobody asked for");
  const Lsn issued = arp_requests_.front();
  arp_requests_.pop_front();
  if (model_.durable() <= issued) {
    context_.fail("an ARP reply leaves with batch {} durable; when it was asked for, batch {} had been begun",
                  model_.durable().value, issued.value);
  }
}

// So long that a window may be shrunk (the engine's own limit is two seconds); or it has just begun to move, and the
// node may still have to hear of it.
bool Oracle::storage_stands_still() const {
  constexpr Duration kStall = std::chrono::milliseconds(1900);
  return context_.now() - storage_moved_ >= kStall || stall_ended_ == context_.now();
}

// ---- From time to time ----

void Oracle::check_promises() {
  constexpr Duration kPatience = std::chrono::seconds(8);
  for (Flow& flow : flows_) {
    // Its ACK may be lost while the neighbour does not tell its link address: what comes next draws another.
    if (unresolved_.contains(flow.tuple.peer.address)) flow.waiting_since.reset();
    if (!flow.waiting_since || !flow.valid || flow.reset_delivered) continue;
    if (context_.now() - std::max(*flow.waiting_since, excused_until_) < kPatience) continue;
    return context_.fail("{}: bytes {}..{} came in order, within the window, and are not acknowledged",
                         flow.tuple.to_string(), flow.acked, flow.delivered.contiguous_from(flow.acked));
  }
}

void Oracle::excuse_refusals() {
  refused_until_ = context_.now() + std::chrono::seconds(1);
  for (Flow& flow : flows_) flow.forget_unacknowledged();
}

void Oracle::judge_stored(const DurableStream& stream, bool inbound, std::uint64_t offset, Bytes bytes, bool fin) {
  const auto found = by_tuple_.find(stream.tuple);
  if (found == by_tuple_.end()) return context_.fail("bytes of an unknown connection {}", stream.tuple.to_string());
  const Flow* flow = nullptr;
  for (const Flow* candidate : found->second) {
    if (candidate->irs == stream.irs || (candidate->dialled && candidate->iss == stream.iss)) flow = candidate;
  }
  if (flow == nullptr || flow->plan == nullptr) {
    if (!bytes.empty() || fin) context_.fail("bytes of a connection that sent none: {}", stream.tuple.to_string());
    return;
  }
  // The plan's bytes go one way, and come back where the service echoes.
  const StreamPlan& plan = *flow->plan;
  const std::uint64_t length = inbound != flow->dialled || plan.echo ? plan.bytes : 0;
  const std::size_t right = plan.content.matching(offset, bytes);
  if (right != bytes.size()) {
    return context_.fail("{}: {} byte {} goes to the log wrong", stream.tuple.to_string(),
                         inbound ? "inbound" : "outbound", offset + right);
  }
  if (offset + bytes.size() > length) {
    return context_.fail("{}: bytes beyond the stream's end go to the log", stream.tuple.to_string());
  }
  if (fin && offset + bytes.size() != length && plan.ending == Ending::kClose) {
    context_.fail("{}: the stream's end goes to the log at {}, it is at {}", stream.tuple.to_string(),
                  offset + bytes.size(), length);
  }
}

}  // namespace holdfast::sim
