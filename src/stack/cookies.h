// When a segment may be the ACK of a SYN cookie (tcp/cookie.h), and when it must not be taken for one.
//
// A cookie proves that its tuple was answered within its lifetime, not that nobody has used it: an old duplicate of an
// ACK could open a connection that nobody asks for any more, a ghost. So
// - an ACK is checked only for as long as a cookie can be under way: for one lifetime after the last that was sent, and
//   for one lifetime after a start, because its predecessors may have sent some. At any other time, so for all the life
//   of a node that is not flooded, every ACK for no connection is refused;
// - what a cookie has opened, and is closed, is remembered, as far as there is room: the same ACK opens nothing again.
//   (Forgotten by a restart; what a ghost is sent then draws the reset that ends it, and no data can have come with
//   it.)
//
// Memory: fixed.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/units.h"
#include "tcp/cookie.h"
#include "wire/address.h"
#include "wire/seq.h"

namespace holdfast::stack {

class Cookies {
 public:
  // The ticks (tcp/cookie.h) in which a cookie that is still good can have been made. No more than a cookie's two bits
  // tell apart: whatever is made up is compared with one MAC.
  struct Ticks {
    std::array<std::uint64_t, 4> ticks{};
    std::size_t count = 0;
    operator std::span<const std::uint64_t>() const { return {ticks.data(), count}; }
  };

  // The node begins to speak. `clock`: where its clock has begun, and the predecessor's has ended. However long that is
  // ago, what was good then is good for one lifetime from now on; whichever life it is from, for the clock has run on
  // through all of them (gate/node_clock.h).
  void recovered(std::uint64_t clock, Time now);
  void sent(Time now) { sent_until_ = now + tcp::kCookieLifetime; }
  // An ACK may be that of a cookie. `clock`: as for tcp::cookie_tick().
  Ticks acceptable(std::uint64_t clock, Time now) const;

  // A connection that a cookie has opened is over.
  void closed(const wire::FourTuple& tuple, wire::SeqNum irs, wire::SeqNum iss);
  // Such a one was opened by this very cookie.
  bool is_used(const wire::FourTuple& tuple, wire::SeqNum irs, wire::SeqNum iss) const;

 private:
  struct Used {
    wire::FourTuple tuple;
    wire::SeqNum irs, iss;
    friend bool operator==(const Used&, const Used&) = default;
  };
  static constexpr std::size_t kRemembered = 1024;  // the newest

  Time sent_until_{}, inherited_until_{};
  std::uint64_t oldest_inherited_ = 0;  // tick
  std::array<Used, kRemembered> used_{};
  std::size_t next_ = 0;
};

}  // namespace holdfast::stack
