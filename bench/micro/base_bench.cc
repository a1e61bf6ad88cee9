// Checksums and MACs of the log's path, beside memcpy of the same bytes: what a byte costs that is touched once.
#include <benchmark/benchmark.h>

#include <cstring>
#include <vector>

#include "base/crc32c.h"
#include "base/prf.h"

namespace holdfast {
namespace {

std::vector<std::byte> some_bytes(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 2654435761U) >> 11);
  return bytes;
}

void count_bytes(benchmark::State& state) { state.SetBytesProcessed(state.iterations() * state.range(0)); }

void BM_Memcpy(benchmark::State& state) {
  const auto from = some_bytes(static_cast<std::size_t>(state.range(0)));
  std::vector<std::byte> to(from.size());
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}

void BM_Crc32c(benchmark::State& state) {
  const auto bytes = some_bytes(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(0, bytes));
  count_bytes(state);
}

void BM_SipHash(benchmark::State& state) {
  const auto bytes = some_bytes(static_cast<std::size_t>(state.range(0)));
  const Secret secret{};
  for (auto _ : state) benchmark::DoNotOptimize(prf(secret, bytes));
  count_bytes(state);
}

// A record header, one segment's payload, a super-segment, a batch.
BENCHMARK(BM_Memcpy)->Arg(64)->Arg(1448)->Arg(65536)->Arg(524288);
BENCHMARK(BM_Crc32c)->Arg(64)->Arg(1448)->Arg(65536)->Arg(524288);
// A 4-tuple (demultiplexing, ISN), a batch header (MAC).
BENCHMARK(BM_SipHash)->Arg(12)->Arg(64);

}  // namespace
}  // namespace holdfast
