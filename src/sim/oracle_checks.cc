// The oracle's checks of one segment that leaves the node.
#include <algorithm>
#include <utility>

#include "sim/oracle.h"

namespace holdfast::sim {

namespace {

bool ts_before(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }

}  // namespace

// ---- SYN ----

void Oracle::check_isn_moves_forward(const Flow& flow, wire::SeqNum iss) {
  for (const Flow* other : by_tuple_[flow.tuple]) {
    if (other == &flow || !other->iss || !other->synack_left || other->by_cookie) continue;
    // A SYN that meets ours, forged or not, is answered with ours (RFC 9293 section 3.5): no new incarnation.
    if (other->dialled && other->iss == iss) continue;
    if (wire::SeqNum::distance(iss, *other->iss) <= 0) {
      context_.fail("{}: initial sequence number {} after {}: a new incarnation must go forward (RFC 6528)",
                    flow.tuple.to_string(), iss.value, other->iss->value);
    }
  }
}

bool Oracle::check_offered(const Flow& flow, const wire::TcpOptions& options) {
  const bool offered = (!options.timestamps || flow.peer_timestamps) && (!options.sack_permitted || flow.peer_sack) &&
                       (!options.window_scale || flow.syn_scale);
  if (!offered) context_.fail("{}: SYN-ACK with an option that the SYN did not offer", flow.tuple.to_string());
  return offered;
}

void Oracle::check_syn(const wire::FourTuple& tuple, const TcpView& view) {
  const wire::TcpOptions& options = view.tcp.options;
  Flow* flow = nullptr;
  if (view.tcp.flags.ack) {
    for (Flow* candidate : by_tuple_[tuple]) {
      if (candidate->irs && *candidate->irs + 1 == view.tcp.ack) flow = candidate;
    }
    if (flow == nullptr) return context_.fail("SYN-ACK for a SYN that nobody sent, {}", tuple.to_string());
  } else {
    flow = newest(tuple);
    if (flow == nullptr || flow->iss != view.tcp.seq) {
      flow = &add_flow(tuple);
      flow->dialled = true;
      if (const auto expected = expected_.find(tuple); expected != expected_.end()) flow->plan = expected->second;
    }
  }
  const DurableStream* stream = model_.find(tuple, view.tcp.seq);
  if (stream == nullptr || (view.tcp.flags.ack && stream->irs != *flow->irs)) {
    if (view.tcp.flags.ack && !flow->dialled) return check_cookie(*flow, view);
    return context_.fail("{}: {} leaves before the connection's record is stored", tuple.to_string(),
                         view.tcp.flags.ack ? "SYN-ACK" : "SYN");
  }
  // The half-open connection of a duplicate of its SYN; it gives way to the cookie once that is acknowledged.
  if (flow->by_cookie && flow->chosen) return;
  if (flow->iss && *flow->iss != view.tcp.seq) {
    const DurableStream* old = model_.find(tuple, *flow->iss);
    if (flow->synack_left && (old == nullptr || !old->closed)) {
      return context_.fail("{}: a second initial sequence number for the same SYN", tuple.to_string());
    }
    if (owners_ && old != nullptr && flow->fin_acked) {
      // A duplicate of its SYN that waited in a device meanwhile: half-open, and nobody is there any more.
      Flow& again = add_flow(tuple);
      again.irs = flow->irs;
      again.peer_scale = again.syn_scale = flow->syn_scale;
      again.peer_timestamps = flow->peer_timestamps;
      again.peer_sack = flow->peer_sack;
      again.syn_delivered = true;
      again.valid = false;
      again.may_repeat_ack = 1000;  // each out of the other's window: they tell each other so
      flow = &again;
    }
    flow->right_edge = 0;
    flow->last_ts.reset();
  }
  check_step(*flow, view, *stream);
  check_isn_moves_forward(*flow, view.tcp.seq);
  flow->iss = view.tcp.seq;
  flow->synack_left = true;
  flow->by_cookie = false;
  flow->scale = options.window_scale.value_or(0);
  if (!flow->dialled) {
    if (!check_offered(*flow, options)) return;
    flow->timestamps = options.timestamps.has_value();
    flow->sack = options.sack_permitted;
    flow->peer_scale = options.window_scale ? flow->syn_scale : std::nullopt;
    flow->right_edge = std::max<std::uint64_t>(flow->right_edge, view.tcp.window);
  }
  check_timestamps(*flow, view);
}

// ---- RST ----

void Oracle::check_reset(const wire::FourTuple& tuple, const TcpView& view) {
  if (view.payload_size != 0) return context_.fail("RST with payload, {}", tuple.to_string());
  Flow* flow = newest(tuple);
  if (flow != nullptr && flow->aborted_by_node) {
    // Aborted before its SYN-ACK could leave, it sends its reset from where it would have begun.
    const DurableStream* stream = model_.find(tuple, flow->iss.value_or(view.tcp.seq - 1));
    if (stream != nullptr && stream->closed) return;
  }
  // An N-way handshake whose peer has gone silent ends so (docs/handshake.md, rule 7), a stranger's too.
  for (const Flow* other : by_tuple_[tuple]) {
    if (other->ways <= wire::kMinWays || !other->iss || view.tcp.seq != *other->iss + 1) continue;
    const DurableStream* stream = model_.find(tuple, *other->iss);
    if (stream != nullptr && stream->closed) return;
  }
  const Refusal refusal{tuple, view.tcp.seq.value, view.tcp.flags.ack ? view.tcp.ack.value : 0};
  const auto came = refusable_.find(refusal);
  if (came == refusable_.end() || came->second.empty()) {
    return context_.fail("a reset that answers nothing and whose close is not stored: {} seq {}", tuple.to_string(),
                         view.tcp.seq.value);
  }
  const Lsn issued = came->second.front();
  came->second.pop_front();
  if (model_.durable() <= issued) {
    return context_.fail("{} is refused with batch {} durable; when its segment came, batch {} had been begun",
                         tuple.to_string(), model_.durable().value, issued.value);
  }
  if (flow == nullptr || !flow->valid || flow->is_over(context_.now(), msl_)) return;
  // It is alive for its peer. An answer to a stray segment (a forged one, or of an earlier incarnation) that the peer
  // will not take for its own does no harm.
  const bool takes_it = view.tcp.flags.ack ? flow->irs && view.tcp.ack == *flow->irs + 1
                                           : flow->iss && flow->out_offset(view.tcp.seq) <= flow->out_end + (1U << 20);
  if (takes_it) context_.fail("a valid connection is reset: {}", tuple.to_string());
}

// ---- Everything else ----

void Oracle::check_segment(Flow& flow, const TcpView& view, Bytes payload) {
  const DurableStream* stream = model_.find(flow.tuple, *flow.iss);
  if (stream == nullptr) return context_.fail("{}: a segment leaves, no record is stored", flow.tuple.to_string());
  if (stream->irs != *flow.irs) {
    return context_.fail("{}: the peer's SYN is acknowledged, and its sequence number not stored",
                         flow.tuple.to_string());
  }
  if (!view.tcp.flags.ack) return context_.fail("{}: a segment without ACK", flow.tuple.to_string());
  if (flow.reset_was_exact && !waited_for_address(flow)) {
    return context_.fail("{}: a segment leaves after the peer's reset, which was in its place", flow.tuple.to_string());
  }
  check_step(flow, view, *stream);
  check_duplicate_ack(flow, view);
  check_echoed_timestamp(flow, view);
  check_ack(flow, view, *stream);
  check_sack(flow, view);
  check_window(flow, view);
  check_timestamps(flow, view);
  check_payload(flow, view, payload, *stream);
}

void Oracle::check_ack(Flow& flow, const TcpView& view, const DurableStream& stream) {
  const std::uint64_t ack = flow.in_offset(view.tcp.ack);
  const bool covers_fin = flow.fin_at && ack == *flow.fin_at + 1;
  const std::uint64_t edge = covers_fin ? *flow.fin_at : ack;
  if (edge > flow.sent_end) {
    return context_.fail("{}: acknowledges {} bytes, {} were sent", flow.tuple.to_string(), edge, flow.sent_end);
  }
  if (edge < flow.acked || (flow.fin_acked && !covers_fin)) {
    return context_.fail("{}: the acknowledgement goes back from {} to {}", flow.tuple.to_string(), flow.acked, edge);
  }
  if (stream.in_end < edge) {
    return context_.fail("{}: {} bytes are acknowledged, {} are stored", flow.tuple.to_string(), edge, stream.in_end);
  }
  if (covers_fin && !stream.in_fin) {
    return context_.fail("{}: the FIN is acknowledged, and not stored", flow.tuple.to_string());
  }
  // A full log takes a part of what was reported, and the rest is forgotten: RFC 2018 lets a receiver renege.
  const bool may_renege = context_.now() < refused_until_;
  if (!may_renege && flow.sacked.strictly_inside(edge)) {
    return context_.fail("{}: acknowledges {}, inside a range that it reported by SACK", flow.tuple.to_string(), edge);
  }
  if (!may_renege && edge > flow.acked && !flow.ends.contains(edge)) {
    return context_.fail("{}: acknowledges {}, where no segment ended", flow.tuple.to_string(), edge);
  }
  if (edge > flow.acked || covers_fin) flow.waiting_since.reset();
  flow.acked = edge;
  flow.acked_as = flow.iss;
  flow.fin_acked |= covers_fin;
  std::erase_if(flow.stamped, [edge](const Flow::Stamped& segment) { return segment.end <= edge; });
  if (!flow.waiting_since && flow.delivered.contiguous_from(edge) > edge) flow.waiting_since = context_.now();
}

void Oracle::check_sack(Flow& flow, const TcpView& view) {
  const wire::SackBlocks& sack = view.tcp.options.sack;
  if (sack.empty()) return;
  if (!flow.peer_sack) return context_.fail("{}: SACK was not negotiated", flow.tuple.to_string());
  bool first = true;
  for (const wire::SackBlock& block : sack) {
    const std::uint64_t left = flow.in_offset(block.left), right = flow.in_offset(block.right);
    // Of a stray from before the stream's first byte, too.
    const bool is_duplicate = std::exchange(first, false) && block.left < view.tcp.ack;
    if (is_duplicate) {
      // RFC 2883: the ACK must cover it, or it is a lie about bytes that are not stored.
      if (block.right > view.tcp.ack) {
        context_.fail("{}: DSACK {}..{} above the ACK {}", flow.tuple.to_string(), left, right, flow.acked);
      }
      continue;
    }
    if (left >= right || right > flow.sent_end + 1) {
      return context_.fail("{}: SACK of {}..{}, {} bytes were sent", flow.tuple.to_string(), left, right,
                           flow.sent_end);
    }
    // Only with the ACK of the gap's own edge, as it was when the bytes came, or a later one: else the peer takes for
    // lost what came before them and is not stored yet.
    for (auto at = flow.above_gaps.lower_bound(left); at != flow.above_gaps.end() && at->first < right; ++at) {
      if (at->second.edge <= flow.acked) continue;
      return context_.fail("{}: SACK of {}..{} leaves with ACK {}, the gap began at {} when they came",
                           flow.tuple.to_string(), left, right, flow.acked, at->second.edge);
    }
    flow.sacked.add(left, right);
  }
}

void Oracle::check_window(Flow& flow, const TcpView& view) {
  const bool scaled = flow.scale != 0 && flow.peer_scale.has_value();
  const std::uint64_t window = std::uint64_t{view.tcp.window} << (scaled ? flow.scale : 0);
  const std::uint64_t right = flow.acked + window;
  flow.last_window = view.tcp.window;
  if (flow.fin_acked) return;  // nothing more may come
  // Where no edge of the scale's granularity fits below the room any more, it may shrink by less than a granule (RFC
  // 7323 section 2.4).
  const std::uint64_t granule = std::uint64_t{1} << (scaled ? flow.scale : 0);
  if (right + granule <= flow.right_edge) {
    const bool stalled = window == 0 && (storage_stands_still() || waited_for_address(flow));
    if (std::exchange(flow.may_retreat, false)) {
      flow.right_edge = right;
    } else if (!stalled) {
      return context_.fail("{}: the window's right edge goes back from {} to {}", flow.tuple.to_string(),
                           flow.right_edge, right);
    }
  }
  flow.right_edge = std::max(flow.right_edge, right);
}

void Oracle::check_timestamps(Flow& flow, const TcpView& view) {
  const auto& ts = view.tcp.options.timestamps;
  if (flow.dialled && view.tcp.flags.syn) {
    flow.timestamps = ts.has_value();
  } else if (flow.dialled && !flow.peer_timestamps) {
    flow.timestamps = false;
  }
  if (ts.has_value() != flow.timestamps) {
    return context_.fail("{}: timestamps {} (RFC 7323 section 3.2)", flow.tuple.to_string(),
                         ts ? "that were not negotiated" : "are missing");
  }
  if (!ts) return;
  if (flow.last_ts && ts_before(ts->value, *flow.last_ts)) {
    return context_.fail("{}: TSval goes back from {} to {}", flow.tuple.to_string(), *flow.last_ts, ts->value);
  }
  flow.last_ts = ts->value;
  if (!view.tcp.flags.ack || !flow.highest_ts) return;
  // 0: it knows none but a predecessor's, which is old.
  if (ts->echo_reply == 0 && flow.outlived_its_node) return;
  if (ts->echo_reply == 0 || ts_before(*flow.highest_ts, ts->echo_reply)) {
    return context_.fail("{}: TSecr {} was never received", flow.tuple.to_string(), ts->echo_reply);
  }
}

// The clock behind TSval goes on through all lives, wherever the machine's has been set to. It may stand still for as
// long as it likes, and each restart takes it as far ahead as a ceiling is promised.
void Oracle::check_clock(const wire::FourTuple& tuple, const TcpView& view) {
  constexpr std::int64_t kAhead = 2000;  // ms, of a ceiling
  const auto& ts = view.tcp.options.timestamps;
  if (!ts) return;
  const std::uint32_t first = first_ts_.try_emplace(tuple, ts->value).first->second;
  const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(context_.now().time_since_epoch()).count();
  const std::int64_t at_most = passed + passed * drift_ / 1'000'000 + kAhead * (deaths_ + 1);
  if (static_cast<std::int32_t>(ts->value - first) <= at_most) return;
  context_.fail("{}: TSval has leapt from {} to {} within {} ms and {} deaths", tuple.to_string(), first, ts->value,
                passed, deaths_);
}

// RFC 7323 section 4.3, with the noted ACK for Last.ACK.sent: an ACK that goes beyond P echoes a timestamp no older
// than that of the segment which brought the byte at P.
void Oracle::check_echoed_timestamp(const Flow& flow, const TcpView& view) {
  const auto& ts = view.tcp.options.timestamps;
  if (!ts || flow.in_offset(view.tcp.ack) <= flow.acked) return;
  if (flow.earlier.contains(flow.acked, flow.acked + 1)) return;
  const Flow::Stamped* brought = nullptr;
  for (const Flow::Stamped& segment : flow.stamped) {
    if (segment.begin > flow.acked || segment.end <= flow.acked) continue;
    if (brought == nullptr || ts_before(segment.ts, brought->ts)) brought = &segment;
  }
  if (brought == nullptr || (ts->echo_reply != 0 && !ts_before(ts->echo_reply, brought->ts))) return;
  context_.fail("{}: ACK {} echoes timestamp {}, but the bytes from {} on came with {}", flow.tuple.to_string(),
                flow.in_offset(view.tcp.ack), ts->echo_reply, brought->begin, brought->ts);
}

void Oracle::check_payload(Flow& flow, const TcpView& view, Bytes payload, const DurableStream& stream) {
  const std::uint64_t begin = flow.out_offset(view.tcp.seq);
  if (payload.empty() && !view.tcp.flags.fin) return;
  const std::uint64_t end = begin + payload.size();
  if (end > stream.out_end) {
    return context_.fail("{}: outbound bytes up to {} leave, stored are {}", flow.tuple.to_string(), end,
                         stream.out_end);
  }
  if (view.tcp.flags.fin && (!stream.out_fin || end != stream.out_end)) {
    return context_.fail("{}: a FIN leaves that is not stored", flow.tuple.to_string());
  }
  if (!payload.empty() && flow.plan != nullptr && flow.plan->content.matching(begin, payload) != payload.size()) {
    return context_.fail("{}: wrong outbound bytes at {}", flow.tuple.to_string(),
                         begin + flow.plan->content.matching(begin, payload));
  }
  // A window probe is one byte beyond the window (RFC 9293 section 3.8.6.1).
  if (flow.peer_edge_known && end > flow.peer_edge + 1) {
    return context_.fail("{}: outbound bytes up to {} leave, the peer's window ends at {}", flow.tuple.to_string(), end,
                         flow.peer_edge);
  }
  if (view.tcp.flags.fin) {
    if (!flow.dialled && !stream.in_fin) {
      return context_.fail("{}: our FIN leaves, theirs is not stored", flow.tuple.to_string());
    }
    if (!flow.fin_sent && !flow.fin_delivered && !stream.in_fin) flow.fin_sent_first = true;
    flow.fin_sent = true;
  }
  flow.out_end = std::max(flow.out_end, end);
}

// It may have been said earlier, and have waited for the neighbour's link address.
bool Oracle::waited_for_address(const Flow& flow) const {
  const auto resolved = resolved_.find(flow.tuple.peer.address);
  return resolved != resolved_.end() && resolved->second == context_.now();
}

void Oracle::check_duplicate_ack(Flow& flow, const TcpView& view) {
  if (view.payload_size != 0 || view.tcp.flags.fin || !view.tcp.options.sack.empty()) return;
  if (view.tcp.options.ways) return;  // it says more than the ACK
  // Keepalive probes lie below; an empty window is news to a peer whose probe it answers.
  if (flow.out_offset(view.tcp.seq) != flow.out_end + (flow.fin_sent ? 1 : 0) || view.tcp.window == 0) return;
  const std::uint64_t ack = flow.acked + (flow.fin_acked ? 1 : 0);
  if (flow.in_offset(view.tcp.ack) != ack || flow.last_window != view.tcp.window) return;
  if (flow.may_repeat_ack > 0) {
    --flow.may_repeat_ack;
    return;
  }
  if (waited_for_address(flow)) return;
  context_.fail("{}: ACK {} is repeated although nothing but duplicates of unstored bytes came", flow.tuple.to_string(),
                ack);
}

}  // namespace holdfast::sim
