// Who is at which address on the link (RFC 826; RFC 1122 section 2.3.2), and the frames that wait to know.
//
// - Learns a new neighbour only from an ARP request for our address, or by asking; while it has not answered yet, its
//   datagrams are taken for a hint, to be confirmed by unicast.
// - A neighbour that is known is refreshed by any ARP packet that it sends, e.g. its announcement after it moved to
//   another machine.
// - A neighbour not confirmed for kReachableTime is asked by unicast when it is next sent to, and used meanwhile
//   (RFC 1122 section 2.3.2.1, "unicast poll"). One that does not answer is forgotten.
// - One that never answered is not asked again for kHoldDown.
// - While storage stands still no request leaves: then nobody is given up for want of an answer.
#pragma once

#include <memory>
#include <optional>

#include "base/units.h"
#include "ip/frame_pool.h"
#include "ip/ip.h"
#include "ip/lru_table.h"
#include "ip/output.h"

namespace holdfast::ip {

class Neighbours {
 public:
  static constexpr std::uint32_t kEntries = 1024;
  static constexpr std::uint16_t kQueuedFrames = 16;   // per neighbour; the newest are kept (RFC 1122 section 2.3.2.2)
  static constexpr std::uint16_t kQueuedBlocks = 256;  // of all neighbours, 512 KiB
  static constexpr Duration kReachableTime = std::chrono::seconds(60);
  static constexpr Duration kRequestInterval = std::chrono::seconds(1);
  static constexpr int kRequests = 3;
  static constexpr Duration kHoldDown = std::chrono::seconds(1);

  Neighbours(Output& output, const Config& config, Counters& counters);

  // Requests assert our address, to all who hear them: each leaves after a log write, and none is made before this.
  void start(Time now);

  // Sends a frame, complete but for its destination MAC, to an address on the link: now, or when the neighbour has
  // answered. `head` is frame.head, writable.
  void send(wire::Ipv4Address next_hop, MutableBytes head, const wire::TxFrame& frame, Time now);

  // The neighbour's MAC, where it is known.
  std::optional<wire::MacAddress> find(wire::Ipv4Address address) const;

  // An ARP packet told this about its sender. `create`: worth a new entry.
  void learn(wire::Ipv4Address address, const wire::MacAddress& mac, bool create, Time now);

  // A datagram came from this neighbour. Where it is being asked for, that is a hint to go by until it answers: after a
  // restart its answer may be far behind in the device's queue, and its datagrams in front.
  void hint(wire::Ipv4Address next_hop, const wire::MacAddress& mac, Time now);

  // Whether a frame to it would leave at once, or never. Where not, it is asked for.
  bool settled(wire::Ipv4Address next_hop, Time now);

  Time deadline() const { return deadline_; }
  void on_deadline(Time now);

  std::uint32_t size() const { return table_.size(); }

 private:
  enum class State : std::uint8_t {
    kIncomplete,  // asked by broadcast; frames wait
    kReachable,
    kProbing,  // asked by unicast; in use
    kFailed,   // did not answer; not asked again before `timeout`
  };
  struct Neighbour {
    State state = State::kIncomplete;
    wire::MacAddress mac;
    int requests = 0;
    Time confirmed{};
    Time timeout = kNever;
    FrameQueue waiting;
  };
  using Entry = LruTable<Neighbour>::Entry;

  bool is_plausible(wire::Ipv4Address address, const wire::MacAddress& mac) const;
  bool is_host_on_link(wire::Ipv4Address address) const;
  Entry& add(wire::Ipv4Address address);
  void ask(Entry& entry, State state, Time now);
  void send_request(Entry& entry, Time now);
  void enqueue(Neighbour& neighbour, const wire::TxFrame& frame);
  void flush(Neighbour& neighbour);
  void discard_waiting(Neighbour& neighbour);
  void on_timeout(Entry& entry, Time now);

  Output& output_;
  const Config& config_;
  Counters& counters_;
  LruTable<Neighbour> table_;
  FramePool pool_;
  std::unique_ptr<std::byte[]> flushed_;  // kMaxFrame bytes: the frame that is leaving
  bool started_ = false;
  Time deadline_ = kNever;  // no later than the first timeout
};

}  // namespace holdfast::ip
