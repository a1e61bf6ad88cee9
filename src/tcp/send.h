// The send side of a connection: SND.UNA and SND.NXT, the peer's window, what is buffered, in flight and stored.
//
// Invariant: una <= nxt <= limit; nothing at or above sendable_end() has been sent in this life. All positions
// (sequence.h).
#pragma once

#include <cstdint>
#include <memory>

#include "tcp/config.h"
#include "tcp/congestion/congestion.h"
#include "tcp/loss.h"
#include "tcp/rtt.h"
#include "tcp/scoreboard.h"
#include "tcp/send_buffer.h"
#include "tcp/sequence.h"
#include "wire/seq.h"

namespace holdfast::tcp {

struct Sender {
  Sender(const Config& config, StreamOffset first) : buffer(config.send_buffer, first), rtt(config) {}

  wire::SeqNum iss;
  bool syn_acked = false;
  StreamOffset una;    // SND.UNA
  StreamOffset nxt;    // SND.NXT
  StreamOffset limit;  // ACKs are acceptable up to here: nxt, or what was sent before a rewind or by a predecessor
  SendBuffer buffer;
  StreamOffset stored;      // data bytes that may leave
  bool stored_fin = false;  // and the FIN behind them
  bool fin_queued = false;
  bool fin_sent = false;

  std::uint64_t wnd = 0;      // SND.WND, scaled
  std::uint64_t max_wnd = 0;  // largest ever offered
  wire::SeqNum wl1, wl2;      // SND.WL1, SND.WL2
  std::uint8_t shift = 0;     // of the windows that we receive
  std::uint16_t mss = 536;    // largest segment the peer takes, without options

  Scoreboard board;
  LossRecovery loss{false};
  RttEstimator rtt;
  std::unique_ptr<Congestion> congestion;
  bool cwnd_limited = false;   // sending stopped for want of cwnd
  StreamOffset small_end;      // end of the last segment sent that was less than full (Nagle)
  Time last_sent{};            // data
  std::uint32_t timeouts = 0;  // in a row
  std::uint32_t probes = 0;    // zero-window probes not answered, in a row
  std::uint32_t probe_back_off = 0;
  Time unanswered_since = kNever;  // for the user time-out

  wire::SeqNum seq(StreamOffset at) const { return to_seq(iss, at); }
  std::uint64_t in_flight() const { return nxt - una; }
  StreamOffset window_end() const { return una + wnd; }
  // The position of our FIN, where one is queued.
  StreamOffset fin_at() const { return buffer.end(); }
  bool fin_acked() const { return fin_queued && una > fin_at(); }
  StreamOffset acked_data() const { return fin_acked() ? fin_at() : una; }
  // How far transmission may go; `fin_may_leave`: nothing but storage holds the FIN back.
  StreamOffset sendable_end(bool fin_may_leave) const {
    const bool with_fin = fin_may_leave && fin_queued && stored_fin && stored == buffer.end();
    return stored + (with_fin ? 1 : 0);
  }
  // The sequence number of a segment without data: SND.NXT; after a resumption as far as the predecessor may have got,
  // because a peer discards what lies below its RCV.NXT. Where all that is in flight is the probe of a closed window,
  // SND.UNA: the peer has not taken it, and discards what lies beyond its window with the ACK that it carries.
  StreamOffset idle_position() const;
  // Takes back what is in flight: it will be sent again as if it was new.
  void rewind();
};

}  // namespace holdfast::tcp
