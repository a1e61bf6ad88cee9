#include "node/entropy.h"

#include <sys/random.h>

#include "base/assert.h"
#include "base/endian.h"

namespace holdfast::node {

void fill_with_entropy(MutableBytes bytes) {
  // Without GRND_NONBLOCK this waits for the pool to be ready, and gives up to 256 bytes whole.
  HF_ASSERT(bytes.size() <= 256);
  HF_ASSERT(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
}

std::uint64_t draw_seed() { return load_le<std::uint64_t>(draw_entropy<sizeof(std::uint64_t)>().data()); }

}  // namespace holdfast::node
