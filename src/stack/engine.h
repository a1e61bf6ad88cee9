// The whole of a node without an operating system: ip, tcp, gate and log tied together. Frames, the log's completions
// and `now` come in; frames, log writes and the next deadline go out. The shard runs it on a real device, the simulator
// in a made-up world.
//
// Threads: one owner thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "gate/recovery.h"
#include "gate/service.h"
#include "ip/ip.h"
#include "log/log.h"
#include "tcp/config.h"
#include "wire/address.h"
#include "wire/frame.h"

namespace holdfast::stack {

using gate::ClientHandler;
using gate::Observer;
using gate::ServiceKind;

struct Service {
  ServiceKind kind = ServiceKind::kStore;
  wire::Port port;
  tcp::WaysConfig ways{};  // of the connections that are opened to it
};

struct Config {
  ip::Config ip;
  tcp::Config tcp;
  std::vector<Service> services;
  std::uint32_t max_connections = 131072;
  std::uint32_t max_half_open = 1024;  // per service; SYNs beyond it are answered with a SYN cookie
  Duration stall_after =
      std::chrono::seconds(2);  // no progress of the log for so long, with something to store: windows shrink to 0
  bool nudge = false;           // recovered connections wake their peers by ICMP host unreachable (RFC 6069)
  std::uint32_t initial_receive_window = 64U << 10;  // bytes; grows with use up to tcp.max_receive_window
  std::uint64_t wall_clock = 0;                      // nanoseconds since 1970 when the node starts, for "opened" times
};

struct ConnectOptions {
  // Nothing: one is drawn among those free for the peer. A given one must be free: kBusy where it is listened on, or
  // has a connection to the same peer.
  std::optional<wire::Port> local_port{};
  tcp::WaysConfig ways{};  // max > 3 proposes an N-way handshake (docs/handshake.md)
};

struct Counters {
  std::uint64_t segments_in = 0, segments_out = 0;
  std::uint64_t malformed = 0;         // TCP headers that do not parse
  std::uint64_t refused = 0;           // answered "no such connection"
  std::uint64_t refusals_dropped = 0;  // too many were waiting for their barrier
  std::uint64_t backlog_full = 0;      // SYNs, and ACKs of cookies, for which there was no room in the table or the log
  std::uint64_t syn_cookies_sent = 0, syn_cookies_accepted = 0;
  std::uint64_t syn_cookies_rejected = 0;  // ACKs for no connection, while cookies were looked for
  std::uint64_t notes_folded = 0;
  std::uint64_t opened = 0, resumed = 0, closed = 0;
  std::uint64_t bytes_stored = 0;
  std::uint32_t widest_window = 0;  // that was promised to a peer
  std::uint64_t undeliverable = 0;  // data for which the log had no room after all: dropped, never acknowledged
  std::uint64_t ways_refused = 0;   // SYNs that proposed fewer ways than the service's minimum
};

struct ConnectionInfo {
  StreamId id;
  wire::FourTuple tuple;
  ServiceKind service = ServiceKind::kStore;
  tcp::State state = tcp::State::kClosed;
  std::uint64_t in_received = 0, in_released = 0, out_queued = 0, out_acknowledged = 0;
  bool answered = true;                      // false for one that was resumed, until its peer has said where it is
  std::optional<tcp::WaysReport> handshake;  // of an N-way one
  Duration smoothed_rtt{};                   // 0 before the first sample
  Duration retransmission_timeout{};         // RFC 6298
};

class Engine {
 public:
  // `log` is null for a volatile engine ("stored" = in memory), whose secrets come from `random`. `recovered` is what
  // Log::open() showed the visitor. Recovered connections speak as soon as the epoch's start is stored; until then the
  // engine is silent.
  Engine(const Config& config, wire::FrameSink& link, std::unique_ptr<log::Log> log, gate::Recovery recovered,
         std::span<const std::byte, 64> random, Observer* observer, Time now);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // ---- Input ----
  // False while a frame read now could only be dropped: until the epoch's start is stored, and while every batch buffer
  // is in flight. The frame is better left waiting in the device. True again after a pump().
  bool wants_frames() const;
  // Where a link may put the next frame's payload so that it need not be copied; may be empty.
  MutableBytes receive_space();
  void on_frame(const wire::RxFrame& frame, Time now);
  // After each burst of frames, on log completions, and at deadline(): lets the log work, releases what is stored, runs
  // timers.
  void pump(Time now);
  Time deadline() const;
  // The log has operations in flight (a caller may have to poll for their completion).
  bool busy() const;

  // ---- Active connections ----
  // `handler` outlives the connection.
  Result<StreamId> connect(wire::Endpoint to, ClientHandler& handler, Time now, const ConnectOptions& options = {});
  // Goes on with an active connection of an earlier start, one that recovery found: while recovering(), so that nothing
  // is missed, or later; once. `handler` outlives it. It is given the inbound bytes from the returned offset on; what
  // lies below is in the log. A connection that cannot be read back (Observer::not_resumed) tells its handler nothing.
  Result<StreamOffset> adopt(StreamId id, ClientHandler& handler);
  std::size_t send_room(StreamId id) const;
  // At most send_room(). Returns how many bytes were taken: fewer where the log has no room for more just now; try
  // again in a later turn.
  std::size_t send(StreamId id, Bytes bytes, Time now);
  // True once our FIN is in the log, behind everything that was sent: else try again in a later turn.
  bool send_fin(StreamId id, Time now);
  void abort(StreamId id, Time now);
  // A connection in TIME-WAIT, where both ends have everything: it is over now, and its close is recorded.
  void retire(StreamId id, Time now);

  // Every live connection stays in the log; nothing is said to any peer. Waits for nothing: the caller pumps until
  // !busy().
  void prepare_stop(Time now);

  // ---- State ----
  bool recovering() const;  // the epoch's start is not stored yet: silent
  std::size_t connections() const;
  std::vector<ConnectionInfo> list() const;
  const Counters& counters() const;
  const ip::Counters& ip_counters() const;
  log::Log* log();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::stack
