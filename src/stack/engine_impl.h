// The engine's inside: what it is to ip (ip::Host) and to the gate (gate::Output).
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "gate/gate.h"
#include "ip/ip.h"
#include "stack/cookies.h"
#include "stack/engine.h"
#include "tcp/challenge.h"
#include "tcp/demux.h"
#include "tcp/listener.h"
#include "tcp/nonce.h"

namespace holdfast::stack {

// The random bits that an engine is given, cut up by purpose.
struct RandomBits {
  explicit RandomBits(std::span<const std::byte, 64> bits);
  Secret volatile_isn, volatile_timestamp, volatile_cookie, demux;
  std::uint64_t ip_seed = 0, ports = 0;
};

struct Engine::Impl final : ip::Host, gate::Output {
  Impl(const Config& config, wire::FrameSink& link, std::unique_ptr<log::Log> log, gate::Recovery recovered,
       const RandomBits& random, Observer* observer, Time now);

  // ---- ip::Host ----
  void on_tcp(const ip::TcpDatagram& datagram, Time now) override;
  void on_icmp_error(const ip::IcmpError& error, Time now) override;
  void transmit_assertion(Bytes frame, Time now) override;
  bool assertions_stand_still() const override { return gate.stalled(); }

  // ---- gate::Output ----
  void send_segment(const wire::FourTuple& tuple, const tcp::SegmentOut& segment) override;
  void send_frame(Bytes frame) override;
  bool settled(const wire::FourTuple& tuple, Time now) override;
  bool is_unknown(const wire::FourTuple& tuple) const override;
  void state_changed(gate::Entry& entry, tcp::State from, tcp::State to) override;
  void forget(gate::Entry& entry) override;

  // ---- Input ----
  Bytes whole_payload(const ip::TcpDatagram& datagram, std::size_t header_length);
  void on_segment(const wire::FourTuple& tuple, const tcp::SegmentIn& segment, Time now);
  bool gives_way(const tcp::Connection& connection, const tcp::SegmentIn& segment, Time now);
  void on_unknown(const wire::FourTuple& tuple, const tcp::SegmentIn& segment, Time now);
  struct Listening {
    Service service;
    tcp::Listener listener;
  };
  void on_muted(const wire::FourTuple& tuple, const tcp::SegmentIn& segment, Time now);
  void accept(Listening& at, const wire::FourTuple& tuple, const tcp::SegmentIn& syn, Time now);
  bool refuse_ways(const Listening& at, const wire::FourTuple& tuple, const tcp::SegmentIn& syn);
  Listening* listening_at(wire::Port port);
  bool is_listened_on(wire::Port port) const;

  // ---- SYN cookies (cookies.cc) ----
  const Secret& cookie_secret() const;
  void send_cookie(const Listening& at, const wire::FourTuple& tuple, const tcp::SegmentIn& syn, Time now);
  tcp::NonceSource nonce_source(const wire::FourTuple& tuple, wire::SeqNum irs, wire::SeqNum iss) const;
  std::optional<tcp::Cookie> cookie_in(const Listening& at, const wire::FourTuple& tuple, const tcp::SegmentIn& segment,
                                       const Cookies::Ticks& ticks) const;
  bool take_cookie(Listening& at, const wire::FourTuple& tuple, const tcp::SegmentIn& segment, Time now);
  bool is_overtaken(const Listening& at, const tcp::Connection& connection, const tcp::SegmentIn& segment,
                    Time now) const;

  // ---- Connections ----
  std::uint64_t shown_clock() const;  // nanoseconds; never above the stored ceiling, never going back
  wire::SeqNum initial_sequence(const wire::FourTuple& tuple) const;
  std::uint32_t timestamp_offset(const wire::FourTuple& tuple) const;
  tcp::Config tcp_config_for(wire::Ipv4Address peer, Time now) const;
  // … of a connection to this service.
  tcp::Config tcp_config_for(const Listening& at, wire::Ipv4Address peer, Time now) const;
  bool is_free(wire::Port port, wire::Endpoint to) const;
  Result<wire::Port> free_port(wire::Endpoint to);
  Result<wire::Port> given_port(wire::Port port, wire::Endpoint to) const;
  void close_overtaken();
  void resume_all(Time now);
  bool ready_to_speak(Time now);
  bool may_be_adopted(const gate::RecoveredConnection& connection) const;

  bool recovering() const { return !started; }
  log::Log* log() const { return const_cast<gate::Gate&>(gate).log(); }
  void pump(Time now);

  Config config;
  wire::FrameSink& link;
  Observer silent_observer;
  Observer& observer;
  RandomBits random;
  Counters counters;
  std::vector<Listening> listening;
  tcp::Demux demux;
  Cookies cookies;
  gate::Gate gate;
  ip::Ip ip;
  std::vector<std::byte> scratch;
  // Connections that are in the log and could not be brought back: no segment of theirs is answered with a refusal.
  struct Muted {
    StreamId id;
    wire::SeqNum snd_nxt, rcv_nxt;
    tcp::ChallengeLimit challenges;
  };
  std::map<wire::FourTuple, Muted> muted;
  gate::Recovery recovered;                    // until they are resumed
  std::map<StreamId, ClientHandler*> adopted;  // of these
  Time resume_by = kNever;                     // set once the epoch's start is stored
  bool started = false;
  std::uint64_t port_draw;
};

}  // namespace holdfast::stack
