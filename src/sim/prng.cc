#include "sim/prng.h"

#include <bit>
#include <cstring>

#include "base/assert.h"

namespace holdfast::sim {

std::uint64_t splitmix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

std::uint64_t mixed(std::uint64_t value) { return splitmix64(value); }

namespace {

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

}  // namespace

Prng::Prng(std::uint64_t seed) {
  for (auto& word : state_) word = splitmix64(seed);
}

Prng::Prng(std::uint64_t seed, std::string_view part) : Prng(mixed(seed) ^ fnv1a(part)) {}

std::uint64_t Prng::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Prng::below(std::uint64_t bound) {
  HF_ASSERT(bound > 0);
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((Wide{next()} * bound) >> 64);
}

Duration Prng::between(Duration low, Duration high) {
  return low + Duration(below(static_cast<std::uint64_t>((high - low).count()) + 1));
}

std::uint64_t Prng::between_log(std::uint64_t low, std::uint64_t high) {
  HF_ASSERT(low > 0 && low <= high);
  // An octave first, then a value in it: no floating point, which could differ between machines.
  const auto octaves = static_cast<std::uint64_t>(std::bit_width(high) - std::bit_width(low));
  const std::uint64_t from = low << below(octaves + 1);
  if (from >= high) return high;
  const std::uint64_t to = from * 2 < high ? from * 2 : high;
  return between(from, to);
}

Duration Prng::between_log(Duration low, Duration high) {
  return Duration(between_log(static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count())));
}

void Prng::fill(MutableBytes bytes) {
  while (!bytes.empty()) {
    const std::uint64_t word = next();
    const std::size_t count = bytes.size() < sizeof word ? bytes.size() : sizeof word;
    std::memcpy(bytes.data(), &word, count);
    bytes = bytes.subspan(count);
  }
}

}  // namespace holdfast::sim
