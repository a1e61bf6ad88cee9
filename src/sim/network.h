// The simulated Ethernet: hosts on lines to one switch. Each line has two directions, and each direction its faults:
// loss, duplication, reordering, corruption, delay, jitter, a slow line with a short queue, fragmentation, partition.
//
// A frame is delivered after its delay, never inside send(). Without the reorder fault frames keep their order.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/context.h"
#include "sim/packet.h"
#include "sim/prng.h"
#include "wire/address.h"

namespace holdfast::sim {

// One direction of a line. Probabilities in parts of a million for each frame.
struct LineFaults {
  std::uint32_t loss = 0;
  std::uint32_t duplicate = 0;
  std::uint32_t reorder = 0;
  std::uint32_t corrupt = 0;
  std::uint32_t fragment = 0;
  std::uint32_t pass_whole = 0;  // super-segments and partial checksums passed on as they are
  Duration delay = std::chrono::microseconds(50);
  Duration jitter{};                                    // added, uniform in [0, jitter]
  std::uint64_t bytes_per_second = 0;                   // 0: no limit
  Duration max_queue = std::chrono::milliseconds(100);  // frames that would wait longer are dropped
  bool cut_off = false;                                 // partition
};

class Network {
 public:
  using Receiver = std::function<void(Packet)>;

  Network(Context& context, Prng prng) : context_(context), prng_(prng) {}

  // Returns the port.
  unsigned attach(std::string name, wire::MacAddress mac, Receiver receiver);
  LineFaults& to_switch(unsigned port) { return ports_[port].up.faults; }
  LineFaults& from_switch(unsigned port) { return ports_[port].down.faults; }

  void send(unsigned from, Packet packet);
  // No more faults from here on; delays stay.
  void calm();

 private:
  struct Line {
    LineFaults faults;
    Time last_arrival{};  // of frames that keep their order
    Time busy_until{};
  };
  struct Port {
    std::string name;
    wire::MacAddress mac;
    Receiver receiver;
    Line up, down;
  };

  void carry(unsigned from, unsigned to, const Packet& packet);
  // Sends one frame through one direction; `next` gets each copy that comes out and when.
  void pass(Line& line, const Packet& packet, Time start, const std::function<void(Packet, Time)>& next);
  std::vector<Packet> as_on_the_line(const Line& line, const Packet& packet);
  void corrupt(Packet& packet);

  Context& context_;
  Prng prng_;
  std::vector<Port> ports_;
};

}  // namespace holdfast::sim
