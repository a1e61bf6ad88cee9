#include "tcp/send.h"

#include <algorithm>

namespace holdfast::tcp {

StreamOffset Sender::idle_position() const {
  const bool probe_only = wnd == 0 && nxt == una + 1;
  return probe_only ? una : std::max(nxt, std::min(limit, window_end()));
}

void Sender::rewind() {
  board.clear();
  nxt = una;
}

}  // namespace holdfast::tcp
