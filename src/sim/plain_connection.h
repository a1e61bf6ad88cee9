// One connection of a plain peer (plain_peer.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/plain_peer.h"

namespace holdfast::sim {

class PlainPeer::Connection {
 public:
  Connection(PlainPeer& host, const StreamPlan& plan, wire::Port local, Prng prng);

  wire::Port local() const { return local_; }
  bool done() const { return done_; }
  std::string progress() const;

  void open();
  void receive(const TcpView& view, Bytes payload);

 private:
  enum class State : std::uint8_t { kClosed, kSynSent, kOpen, kReset };

  // -- Sending (plain_send.cc)
  void write_more();
  void send_what_may_go();
  void send_data(std::uint64_t from, std::uint64_t length);
  void send_empty(wire::TcpFlags flags);
  void send_probe();
  void abort();
  bool may_wait_in_vain() const;
  void send_keepalive();
  void transmit(wire::TcpHeader header, Bytes payload);
  void arm_timer();
  void on_timer();
  std::uint64_t stream_end() const { return plan_.bytes; }
  bool may_send_fin() const { return plan_.ending == Ending::kClose && written_ == plan_.bytes; }

  // -- Receiving (plain_receive.cc)
  void receive_syn_ack(const TcpView& view);
  void receive_ack(const TcpView& view);
  void receive_data(const TcpView& view, Bytes payload);
  void read_some();
  void check_done();
  std::uint64_t receive_window() const;
  wire::SeqNum seq_of(std::uint64_t offset) const { return iss_ + 1 + static_cast<std::uint32_t>(offset); }
  wire::SeqNum ack_now() const { return irs_ + 1 + static_cast<std::uint32_t>(received_) + (fin_received_ ? 1 : 0); }
  wire::FourTuple tuple() const;
  std::uint32_t ts_now() const;

  PlainPeer& host_;
  const StreamPlan& plan_;
  wire::Port local_;
  Prng prng_;
  State state_ = State::kClosed;
  wire::SeqNum iss_, irs_;
  bool timestamps_ = false;
  unsigned send_scale_ = 0, receive_scale_ = 0;

  std::uint64_t written_ = 0;                       // by the script
  std::uint64_t una_ = 0, nxt_ = 0, max_sent_ = 0;  // offsets; the FIN counts one
  std::uint64_t edge_ = 0;                          // the node lets us send up to here
  unsigned cwnd_ = 4, duplicates_ = 0, retries_ = 0;
  std::uint64_t timer_ = 0;  // generation
  bool timer_armed_ = false;

  std::uint64_t received_ = 0, unread_ = 0;
  bool fin_received_ = false, reading_ = false;
  std::uint64_t advertised_ = 0;  // the last window
  std::uint32_t ts_recent_ = 0, ts_offset_ = 0;
  bool done_ = false;
};

}  // namespace holdfast::sim
