// The judge. It sees every frame that leaves the node and that reaches it, and (through DurableModel) every batch that
// goes to a disk; it knows what each client sends. From that alone it says whether a rule is broken; it shares no code
// with tcp or the gate.
//
// On the wire, at the instant at which a frame leaves:
// - nothing leaves before the epoch's start is durable;
// - the ACK number, payload, FIN, SYN-ACK and RST rest on durable batches; but for the SYN-ACK that is a cookie, which
//   leaves only past the bound of half-open connections and promises no window;
// - the ACK number never goes back, never lies inside a range reported by SACK, never beyond what was sent;
// - the right edge of the window never retreats, but to 0 while storage stands still;
// - TSval never goes back, nor leaps ahead where the machine's clock does; TSecr is fresh, ISNs of a reused 4-tuple go
//   forward (cookies aside);
// - copies that a handshake's step certifies exist, and step N and all that follows it rest on a durable "established";
// - payload is what belongs at its offset, and within the peer's window;
// - a valid connection is never reset, and "no such connection" rests on a batch begun after the segment came.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "sim/context.h"
#include "sim/durable_model.h"
#include "sim/flow.h"
#include "sim/packet.h"

namespace holdfast::sim {

class Oracle : public StreamJudge {
 public:
  // `max_half_open`: the node's bound for each service.
  Oracle(Context& context, wire::Ipv4Address node, Duration msl, unsigned disks, unsigned stored_on,
         std::size_t max_half_open)
      : context_(context),
        node_(node),
        msl_(msl),
        max_half_open_(max_half_open),
        model_(context, *this, disks, stored_on) {}

  DurableModel& model() { return model_; }

  // The address goes from node to node (oracle_owners.cc). Their clocks differ by at most so much, in parts of a
  // million.
  void watch_owners(std::uint32_t drift) {
    model_.watch_owners();
    owners_ = true;
    drift_ = drift;
  }

  // ---- The script ----
  // The stream that will go through this connection; known before or after its SYN was seen.
  void expect(const wire::FourTuple& tuple, const StreamPlan& plan);
  // The peer's end is gone or given up: it may be reset from now on.
  void peer_gone(const wire::FourTuple& tuple);
  // The node's operator wants it reset.
  void node_aborts(const wire::FourTuple& tuple);

  // ---- Taps ----
  void peer_sends(const Packet& packet);
  void node_receives(const Packet& packet);
  void node_sends(const Packet& packet);
  void node_died();
  // A frame of a node whose epoch has been followed by another: it may repeat what it has said, and nothing else.
  void former_owner_sends(const Packet& packet, log::Epoch epoch);
  // A replacement took this connection over. Where its log is full, or it has waited in vain for segments to be
  // prepared, its window may shrink, once.
  void resumed(const wire::FourTuple& tuple, bool log_is_full);
  // Storage is unable to make progress (or the node is away) at this moment: ACKs may be late.
  void excuse_lateness() { excused_until_ = context_.now(); }
  // There is no room in the log: what arrives may be dropped, and wants to be sent again.
  void excuse_refusals();
  // From time to time.
  void check_promises();
  // Storage has stood still for long enough that windows may be shrunk to 0.
  void storage_moved();
  // The node has had to wait in the middle of its turn, for what it read.
  void turn_goes_on() { turn_went_on_ = context_.now(); }

  // All connections, oldest first.
  const std::deque<Flow>& flows() const { return flows_; }

  // ---- StreamJudge ----
  void judge_stored(const DurableStream& stream, bool inbound, std::uint64_t offset, Bytes bytes, bool fin) override;
  void epoch_begins() override;

 private:
  // What a refusal would look like: sequence and acknowledgement number of the RST.
  using Refusal = std::tuple<wire::FourTuple, std::uint32_t, std::uint32_t>;

  void begin_life();
  void check_former(Flow& flow, const TcpView& view, Bytes payload, log::Epoch epoch);
  void node_receives_tcp(const Packet& packet, bool reassembled);
  // The newest that its peer opened (or the node, to it).
  Flow* newest(const wire::FourTuple& tuple);
  Flow* flow_of_node_segment(const wire::FourTuple& tuple, const TcpView& view);
  Flow* flow_of_peer_segment(const wire::FourTuple& tuple, const TcpView& view);
  Flow& add_flow(const wire::FourTuple& tuple);
  void note_peer_syn(const wire::FourTuple& tuple, const TcpView& view, bool forged);
  void remember_refusable(const wire::FourTuple& tuple, const TcpView& view);
  void note_delivered(Flow& flow, const TcpView& view, bool reassembled);
  void note_delivered_ack(Flow& flow, const TcpView& view);
  void node_sends_arp(const Packet& packet);
  void node_receives_arp(const Packet& packet);

  std::size_t half_open_at_most(wire::Port service) const;
  void check_cookie(Flow& flow, const TcpView& view);
  void take_cookie(Flow& flow, const Flow::Cookie& cookie);
  void note_choice(Flow& flow, const TcpView& view);
  bool check_offered(const Flow& flow, const wire::TcpOptions& options);
  void check_syn(const wire::FourTuple& tuple, const TcpView& view);
  void check_isn_moves_forward(const Flow& flow, wire::SeqNum iss);
  void check_segment(Flow& flow, const TcpView& view, Bytes payload);
  void check_reset(const wire::FourTuple& tuple, const TcpView& view);
  void check_ack(Flow& flow, const TcpView& view, const DurableStream& stream);
  void check_sack(Flow& flow, const TcpView& view);
  void check_window(Flow& flow, const TcpView& view);
  void check_echoed_timestamp(const Flow& flow, const TcpView& view);
  void check_timestamps(Flow& flow, const TcpView& view);
  void check_clock(const wire::FourTuple& tuple, const TcpView& view);
  void check_payload(Flow& flow, const TcpView& view, Bytes payload, const DurableStream& stream);
  void check_duplicate_ack(Flow& flow, const TcpView& view);
  void check_step(Flow& flow, const TcpView& view, const DurableStream& stream);
  bool waited_for_address(const Flow& flow) const;
  bool storage_stands_still() const;

  Context& context_;
  wire::Ipv4Address node_;
  Duration msl_;
  std::size_t max_half_open_;
  DurableModel model_;
  std::deque<Flow> flows_;  // addresses stay
  std::map<wire::FourTuple, std::vector<Flow*>> by_tuple_;
  std::map<wire::FourTuple, const StreamPlan*> expected_;
  std::map<Refusal, std::deque<Lsn>> refusable_;                           // issued() when the segment came
  std::deque<Lsn> arp_requests_;                                           // likewise
  std::map<wire::Ipv4Address, Time> resolved_;                             // when it last told its link address
  std::set<wire::Ipv4Address> unresolved_;                                 // asked for their link address, in this life
  std::map<std::shared_ptr<const Packet>, std::set<unsigned>> fragments_;  // that reached the node
  std::map<wire::FourTuple, std::uint32_t> first_ts_;                      // TSval of the first segment
  unsigned deaths_ = 0;                                                    // or changes of owner
  bool owners_ = false;
  std::uint32_t drift_ = 0;
  Flow* just_came_ = nullptr;  // the flow of the frame being handled
  Time excused_until_{};
  Time refused_until_{};
  Time storage_moved_{}, turn_went_on_{};
  Time stall_ended_{};
  Time epoch_started_ = kNever;  // this life's epoch: when its start was durable
};

}  // namespace holdfast::sim
