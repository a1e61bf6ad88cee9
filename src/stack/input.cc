// From a TCP datagram to a connection: demultiplexing, listening, refusing; and the way back out.
#include <fmt/format.h>

#include <algorithm>

#include "stack/engine_impl.h"
#include "tcp/isn.h"
#include "tcp/reset.h"

namespace holdfast::stack {

void Engine::Impl::on_tcp(const ip::TcpDatagram& datagram, Time now) {
  ++counters.segments_in;
  const auto parsed = wire::parse_tcp(datagram.head);
  if (!parsed) {
    ++counters.malformed;
    return;
  }
  const wire::FourTuple tuple{{datagram.destination, parsed->header.destination},
                              {datagram.source, parsed->header.source}};
  on_segment(tuple, {parsed->header, whole_payload(datagram, parsed->header_length)}, now);
}

// The payload in one piece: in place where the link's split fell on the header's end, which is the common case.
Bytes Engine::Impl::whole_payload(const ip::TcpDatagram& datagram, std::size_t header_length) {
  const MutableBytes rest = datagram.head.subspan(header_length);
  if (rest.empty()) return datagram.body;
  if (datagram.body.empty()) return rest;
  std::copy(rest.begin(), rest.end(), scratch.begin());
  std::copy(datagram.body.begin(), datagram.body.end(), scratch.begin() + static_cast<std::ptrdiff_t>(rest.size()));
  return Bytes(scratch).first(rest.size() + datagram.body.size());
}

void Engine::Impl::on_segment(const wire::FourTuple& tuple, const tcp::SegmentIn& segment, Time now) {
  tcp::Connection* connection = demux.find(tuple);
  const bool reset = segment.header.flags.rst;  // after that nothing is to be said
  if (connection != nullptr && !reset) gate.speak_first(*static_cast<gate::Entry*>(connection->user), now);
  if (connection != nullptr && gives_way(*connection, segment, now)) {
    gate.retire(*static_cast<gate::Entry*>(connection->user));
    connection = nullptr;
  }
  if (connection == nullptr) return on_unknown(tuple, segment, now);
  connection->on_segment(segment, now);
  gate.reschedule(*static_cast<gate::Entry*>(connection->user));
}

// Whether the segment is for the listener, although there is a connection.
bool Engine::Impl::gives_way(const tcp::Connection& connection, const tcp::SegmentIn& segment, Time now) {
  const tcp::State state = connection.state();
  if (state != tcp::State::kTimeWait && state != tcp::State::kSynReceived) return false;
  const Listening* at = listening_at(connection.tuple().local.port);
  if (at == nullptr) return false;
  return connection.may_be_replaced_by(segment) || is_overtaken(*at, connection, segment, now);
}

void Engine::Impl::on_unknown(const wire::FourTuple& tuple, const tcp::SegmentIn& segment, Time now) {
  if (muted.contains(tuple)) return on_muted(tuple, segment, now);
  Listening* at = listening_at(tuple.local.port);
  switch (at != nullptr ? at->listener.judge(tuple, segment) : tcp::Verdict::kRefuse) {
    case tcp::Verdict::kAccept:
      if (refuse_ways(*at, tuple, segment)) return;
      return accept(*at, tuple, segment, now);
    case tcp::Verdict::kFull:
      if (refuse_ways(*at, tuple, segment)) return;
      return send_cookie(*at, tuple, segment, now);
    case tcp::Verdict::kIgnore:
      return;
    case tcp::Verdict::kRefuse:
      if (at != nullptr && take_cookie(*at, tuple, segment, now)) return;
      break;
  }
  if (const auto refusal = tcp::refusal_for(segment)) {
    ++counters.refused;
    gate.hold_refusal(tuple, *refusal);
  }
}

// A peer that is gone says so in answer to a challenge, with the exact sequence number (RFC 5961 sections 3.2 and 4.2).
// What the challenge asserts is stored.
void Engine::Impl::on_muted(const wire::FourTuple& tuple, const tcp::SegmentIn& segment, Time now) {
  const auto found = muted.find(tuple);
  Muted& connection = found->second;
  const wire::TcpHeader& in = segment.header;
  if (in.flags.rst && in.seq == connection.rcv_nxt) {
    gate.end_aside(connection.id, tcp::CloseReason::kPeerReset);
    muted.erase(found);
    return;
  }
  if ((!in.flags.rst && !in.flags.syn) || !connection.challenges.take(now)) return;
  tcp::SegmentOut challenge;
  challenge.header.source = tuple.local.port;
  challenge.header.destination = tuple.peer.port;
  challenge.header.seq = connection.snd_nxt;
  challenge.header.ack = connection.rcv_nxt;
  challenge.header.flags.ack = true;
  send_segment(tuple, challenge);
}

// Fewer ways than the service wants: a RST that says how many, to one that knows of them.
bool Engine::Impl::refuse_ways(const Listening& at, const wire::FourTuple& tuple, const tcp::SegmentIn& syn) {
  const auto proposal = tcp::ways_proposal(syn.header);
  const std::uint8_t proposed = proposal ? proposal->ways : wire::kMinWays;
  if (proposed >= at.service.ways.min) return false;
  auto refusal = tcp::refusal_for(syn);
  if (proposal) {
    refusal->options.ways =
        wire::WaysOption{.ways = at.service.ways.min, .step = 2, .is_refused = true, .echo = proposal->nonce};
  }
  ++counters.ways_refused;
  observer.ways_refused(tuple, proposed, at.service.ways.min);
  gate.hold_refusal(tuple, *refusal);
  return true;
}

void Engine::Impl::accept(Listening& at, const wire::FourTuple& tuple, const tcp::SegmentIn& syn, Time now) {
  if (demux.size() >= config.max_connections) {
    ++counters.backlog_full;
    return;
  }
  const tcp::Config tcp = tcp_config_for(at, tuple.peer.address, now);
  auto connection = tcp::Connection::accept(gate, tcp, gate.next_id(), tuple, syn, initial_sequence(tuple),
                                            timestamp_offset(tuple), now);
  gate::Entry* entry = gate.add(std::move(connection), at.service.kind, nullptr, now);
  if (entry == nullptr) {
    ++counters.backlog_full;
    return;
  }
  entry->half_open = true;
  at.listener.half_opened();
  ++counters.opened;
  demux.insert(tuple, entry->connection.get());
}

Engine::Impl::Listening* Engine::Impl::listening_at(wire::Port port) {
  const auto found =
      std::find_if(listening.begin(), listening.end(), [port](const Listening& at) { return at.service.port == port; });
  return found == listening.end() ? nullptr : &*found;
}

bool Engine::Impl::is_listened_on(wire::Port port) const {
  return std::any_of(listening.begin(), listening.end(),
                     [port](const Listening& at) { return at.service.port == port; });
}

void Engine::Impl::on_icmp_error(const ip::IcmpError& error, Time now) {
  tcp::Connection* connection = demux.find(error.tuple);
  if (connection == nullptr) return;
  connection->on_icmp_error(error.seq, error.type == 3 && error.code == 4, error.next_hop_mtu, now);
  gate.reschedule(*static_cast<gate::Entry*>(connection->user));
}

void Engine::Impl::transmit_assertion(Bytes frame, Time now) {
  gate.set_now(now);
  gate.hold_frame(frame);
}

void Engine::Impl::request_clearance(Time now) {
  gate.set_now(now);
  gate.hold_clearance();
}

// ---- gate::Output ----

void Engine::Impl::cleared() { ip.on_clearance(gate.now()); }

void Engine::Impl::send_segment(const wire::FourTuple& tuple, const tcp::SegmentOut& segment) {
  ++counters.segments_out;
  std::array<std::byte, wire::kTcpMaxHeader> header;
  const std::size_t length = wire::emit_tcp(segment.header, header);
  ip.send_tcp(tuple.peer.address, MutableBytes(header).first(length), segment.payload, segment.gso_size, gate.now());
}

void Engine::Impl::send_frame(Bytes frame) {
  wire::TxFrame out;
  out.head = frame;
  link.transmit(out);
}

void Engine::Impl::send_unreachable(const wire::FourTuple& tuple, wire::SeqNum seq) {
  ip.send_host_unreachable(tuple, seq);
}

bool Engine::Impl::settled(const wire::FourTuple& tuple, Time now) { return ip.settled(tuple.peer.address, now); }

bool Engine::Impl::is_unknown(const wire::FourTuple& tuple) const { return demux.find(tuple) == nullptr; }

void Engine::Impl::state_changed(gate::Entry& entry, tcp::State from, tcp::State /*to*/) {
  if (from != tcp::State::kSynReceived || !entry.half_open) return;
  entry.half_open = false;
  if (Listening* at = listening_at(entry.connection->tuple().local.port)) at->listener.half_closed();
}

void Engine::Impl::forget(gate::Entry& entry) {
  state_changed(entry, tcp::State::kSynReceived, tcp::State::kClosed);
  if (entry.by_cookie) {
    const tcp::Snapshot s = entry.connection->snapshot();
    cookies.closed(s.tuple, s.irs, s.iss);
  }
  demux.erase(entry.connection->tuple());
  ++counters.closed;
}

// ---- Connections ----

std::uint64_t Engine::Impl::shown_clock() const {
  const log::Log* log = this->log();
  return gate.clock().shown(gate.now(), log != nullptr ? log->stored_clock_ceiling() : ~std::uint64_t{0});
}

wire::SeqNum Engine::Impl::initial_sequence(const wire::FourTuple& tuple) const {
  const log::Log* log = this->log();
  return tcp::initial_sequence_number(log != nullptr ? log->secrets().isn : random.volatile_isn, tuple,
                                      shown_clock() / 4000);
}

std::uint32_t Engine::Impl::timestamp_offset(const wire::FourTuple& tuple) const {
  const log::Log* log = this->log();
  return tcp::timestamp_offset(log != nullptr ? log->secrets().timestamp : random.volatile_timestamp, tuple);
}

tcp::Config Engine::Impl::tcp_config_for(wire::Ipv4Address peer, Time now) const {
  tcp::Config tcp = config.tcp;
  tcp.mss = static_cast<std::uint16_t>(std::min<std::uint32_t>(tcp.mss, ip.path_mtu(peer, now) - 40U));
  tcp.note_pushed = log() != nullptr;
  return tcp;
}

tcp::Config Engine::Impl::tcp_config_for(const Listening& at, wire::Ipv4Address peer, Time now) const {
  tcp::Config tcp = tcp_config_for(peer, now);
  tcp.ways = at.service.ways;
  return tcp;
}

bool Engine::Impl::is_free(wire::Port port, wire::Endpoint to) const {
  const wire::FourTuple tuple{{config.ip.address.address, port}, to};
  return !is_listened_on(port) && is_unknown(tuple) && !muted.contains(tuple);
}

Result<wire::Port> Engine::Impl::given_port(wire::Port port, wire::Endpoint to) const {
  if (is_free(port, to)) return port;
  return fail(Error::Kind::kBusy,
              fmt::format("local port {} is in use: {}: give another, or none", port.value,
                          is_listened_on(port) ? "a service listens on it"
                                               : fmt::format("it has a connection to {}", to.to_string())));
}

// RFC 6056 section 3.3.1: a random start in the ephemeral range, then the next free one.
Result<wire::Port> Engine::Impl::free_port(wire::Endpoint to) {
  constexpr std::uint32_t kFirst = 32768, kCount = 28232;
  port_draw = port_draw * 6364136223846793005ULL + 1442695040888963407ULL;
  const auto start = static_cast<std::uint32_t>((port_draw >> 33) % kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const wire::Port port{static_cast<std::uint16_t>(kFirst + (start + i) % kCount)};
    if (is_free(port, to)) return port;
  }
  return fail(Error::Kind::kUnavailable,
              fmt::format("no free local port for {}: all {} are in use", to.to_string(), kCount));
}

}  // namespace holdfast::stack
