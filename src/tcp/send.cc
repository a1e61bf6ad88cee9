#include "tcp/send.h"

#include <algorithm>

namespace holdfast::tcp {

StreamOffset Sender::idle_position() const { return std::max(nxt, std::min(limit, window_end())); }

void Sender::rewind() {
  board.clear();
  nxt = una;
}

}  // namespace holdfast::tcp
