// The LISTEN state: RFC 9293 section 3.10.7.2. What to make of a segment for a port that listens and has no connection
// yet, and how many half-open connections there may be.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "tcp/connection.h"
#include "wire/address.h"

namespace holdfast::tcp {

enum class Verdict : std::uint8_t {
  kAccept,  // an acceptable SYN: Connection::accept()
  kIgnore,  // say nothing
  kRefuse,  // answer with refusal_for(), unless it is the ACK of a SYN cookie
  kFull,    // an acceptable SYN beyond the bound: a SYN cookie (cookie.h)
};

class Listener {
 public:
  // `backlog`: half-open connections at a time, at least 1.
  explicit Listener(std::size_t backlog) : backlog_(backlog) { HF_ASSERT(backlog > 0); }

  Verdict judge(const wire::FourTuple& tuple, const SegmentIn& segment) const;
  // A connection entered SYN-RECEIVED; left it, to whatever state.
  void half_opened() { ++half_open_; }
  void half_closed() {
    HF_ASSERT(half_open_ > 0);
    --half_open_;
  }
  std::size_t half_open() const { return half_open_; }

 private:
  std::size_t backlog_;
  std::size_t half_open_ = 0;
};

}  // namespace holdfast::tcp
