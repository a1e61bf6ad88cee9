#include "base/crc32c.h"

#include <isa-l/crc.h>

namespace holdfast {

std::uint32_t crc32c(std::uint32_t crc, Bytes bytes) {
  // ISA-L takes an int length and a non-const pointer that it only reads.
  constexpr std::size_t kPiece = std::size_t{1} << 30;
  std::uint32_t state = ~crc;
  while (!bytes.empty()) {
    const Bytes piece = bytes.first(bytes.size() < kPiece ? bytes.size() : kPiece);
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(piece.data()));
    state = crc32_iscsi(data, static_cast<int>(piece.size()), state);
    bytes = bytes.subspan(piece.size());
  }
  return ~state;
}

}  // namespace holdfast
