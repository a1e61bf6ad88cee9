#include "tcp/receive_window.h"

#include <algorithm>

namespace holdfast::tcp {
namespace {
constexpr std::uint64_t kMaxField = 65535;
constexpr std::uint8_t kMaxShift = 14;
}  // namespace

// Growth below this is kept back: silly windows.
std::uint64_t ReceiveWindow::silly(StreamOffset ack, StreamOffset room, std::uint64_t segments,
                                   std::uint32_t mss) const {
  const std::uint64_t largest = std::max(largest_, room > ack ? room - ack : 0);
  return std::max<std::uint64_t>(1, std::min(segments * mss, largest / 2));
}

std::uint16_t ReceiveWindow::advertise(StreamOffset ack, const ReceiveAllowance& allowance, std::uint32_t mss,
                                       std::uint8_t shift) {
  stalled_ = allowance.stalled;
  if (stalled_) {
    offered_ = ack;
    return 0;
  }
  const StreamOffset room = std::max(edge_, allowance.edge);
  const std::uint64_t granule = std::uint64_t{1} << shift;
  StreamOffset target = edge_;
  if (room - edge_ >= silly(ack, room, 1, mss)) {
    // A granule short of the room: the next ACK can round up to its own nearest edge and stay below the room.
    target = std::max(edge_, StreamOffset{room.value - std::min(room.value, granule - 1)});
  }
  if (room > ack) largest_ = std::max(largest_, room - ack);
  std::uint64_t field = target > ack ? ((target - ack) + granule - 1) >> shift : 0;
  if (field << shift > (room > ack ? room - ack : 0)) field = room > ack ? (room - ack) >> shift : 0;
  field = std::min(field, kMaxField);
  offered_ = ack + (field << shift);
  edge_ = std::max(edge_, offered_);
  return static_cast<std::uint16_t>(field);
}

bool ReceiveWindow::worth_an_update(StreamOffset ack, const ReceiveAllowance& allowance, std::uint32_t mss) const {
  if (allowance.stalled != stalled_) return true;
  if (stalled_) return false;
  // What the field can say of it.
  const StreamOffset most = std::max(edge_, allowance.edge);
  const std::uint64_t field = most > ack ? std::min((most - ack) >> shift_, kMaxField) : 0;
  if (field == 0) return false;
  const StreamOffset room = ack + (field << shift_);
  const bool closed = offered_ <= ack;
  const StreamOffset from = closed ? ack : offered_;
  return room > from && room - from >= silly(ack, room, closed ? 1 : 2, mss);
}

std::uint8_t window_shift_for(std::uint32_t window) {
  std::uint8_t shift = 0;
  while (shift < kMaxShift && (kMaxField << shift) < window) ++shift;
  return shift;
}

}  // namespace holdfast::tcp
