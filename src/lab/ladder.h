// The sequence diagram of one handshake: for a terminal (UTF-8), and as SVG.
#pragma once

#include <string>
#include <vector>

#include "lab/handshake.h"

namespace holdfast::lab {

struct Ladder {
  Conditions conditions;
  std::uint64_t seed = 1;
  Outcome outcome;

  // "5-way handshake: one way 20 ms, loss 0 %, …"
  std::string title() const;
  // What became of it, in a sentence or two.
  std::string ending() const;
  // Why there is no connection: "too few copies: step 6 asks the responder for 2, and it certified 1".
  std::string reason() const;
  // The state that a side is in at this moment.
  Stage stage_at(Side side, Duration when) const;
  std::string text() const;
  std::string svg() const;
};

// "3 ACK  2 copies  SHORT  nonce 1a2b3c4d  echo 5e6f7a8b", with "(again)" where it was repeated.
std::string label(const Passage& passage);

}  // namespace holdfast::lab
