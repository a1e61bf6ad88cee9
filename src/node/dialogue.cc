#include "node/dialogue.h"

#include <unistd.h>

#include "node/output.h"

namespace holdfast::node {

void Dialogue::begin_at(StreamOffset offset) { received_end_ = offset; }

void Dialogue::received(Bytes bytes) {
  const bool caught_up = written_end_ == received_end_;
  received_end_ = received_end_ + bytes.size();
  if (caught_up) write(bytes);
}

bool Dialogue::write(Bytes bytes) {
  written_end_ = written_end_ + bytes.size();
  if (output_gone_ || output_error_) return false;
  auto written = write_all(STDOUT_FILENO, bytes);
  if (!written) output_error_ = written.error();
  output_gone_ = written && !*written;
  return !output_gone_ && !output_error_;
}

}  // namespace holdfast::node
