// What is on the wire in the model: a segment, without what the handshake does not depend on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wire/tcp.h"

namespace holdfast::model {

// Sequence numbers are those of SYNs: `seq` is the sender's ISN, `acked` the receiver's, wherever in the (empty) stream
// the segment stands. The stream has no bytes: `data` says only that the segment wants an answer.
struct Message {
  bool from_initiator = false;
  bool syn = false, ack = false, rst = false;
  bool probe = false;  // from below the window, like a keepalive
  bool data = false;
  std::uint32_t seq = 0, acked = 0;
  std::uint8_t offer = 0;  // of a SYN: MSS, scale and the like, as one number
  std::optional<wire::WaysOption> option;
  // Not on the wire: how many copies of the record there were when the segment left.
  std::uint8_t existed = 0;
  friend bool operator==(const Message&, const Message&) = default;
};

std::size_t hash_of(const Message& message);
std::string to_string(const Message& message);  // "step 4/8 (3 copies)"

}  // namespace holdfast::model
