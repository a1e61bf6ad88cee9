// Parsing, emitting and checksumming of packets. The checksum's peer is the plain loop of RFC 1071 section 4.1.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <vector>

#include "base/endian.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace holdfast::wire {
namespace {

std::uint16_t plain_sum(Bytes bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += load_be16(bytes.data() + i);
  if (bytes.size() % 2 != 0) sum += std::to_integer<std::uint32_t>(bytes.back()) << 8;
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

template <std::uint16_t Sum(Bytes)>
void BM_Checksum(benchmark::State& state) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7);
  if (Sum(bytes) != plain_sum(bytes)) state.SkipWithError("the sums differ");
  for (auto _ : state) benchmark::DoNotOptimize(Sum(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
std::uint16_t our_sum(Bytes bytes) { return ones_complement_sum(bytes); }
// An IPv4 header, one segment, a super-segment.
BENCHMARK(BM_Checksum<plain_sum>)->Name("BM_ChecksumPlainLoop")->Arg(20)->Arg(1460)->Arg(65496);
BENCHMARK(BM_Checksum<our_sum>)->Name("BM_Checksum")->Arg(20)->Arg(1460)->Arg(65496);

// A data segment's header as a kernel sends it; with timestamps, and in the worst case with SACK blocks too.
TcpHeader data_header(bool timestamps, int sack_blocks) {
  TcpHeader header;
  header.source = Port{40000};
  header.destination = Port{7000};
  header.seq = SeqNum{1'000'000};
  header.ack = SeqNum{2'000'000};
  header.flags.ack = true;
  header.window = 501;
  if (timestamps) header.options.timestamps = TcpTimestamps{123456, 654321};
  for (int i = 0; i < sack_blocks; ++i) {
    const SeqNum left{3'000'000 + static_cast<std::uint32_t>(i) * 5000};
    header.options.sack.push({left, left + 1448});
  }
  return header;
}

void BM_ParseTcp(benchmark::State& state) {
  std::array<std::byte, kTcpMaxHeader> bytes{};
  emit_tcp(data_header(state.range(0) != 0, static_cast<int>(state.range(1))), bytes);
  if (!parse_tcp(bytes)) state.SkipWithError("the segment does not parse");
  for (auto _ : state) benchmark::DoNotOptimize(parse_tcp(bytes));
}
BENCHMARK(BM_ParseTcp)->ArgNames({"timestamps", "sack"})->Args({0, 0})->Args({1, 0})->Args({1, 3});

void BM_EmitTcp(benchmark::State& state) {
  const TcpHeader header = data_header(state.range(0) != 0, static_cast<int>(state.range(1)));
  std::array<std::byte, kTcpMaxHeader> bytes{};
  for (auto _ : state) {
    benchmark::DoNotOptimize(emit_tcp(header, bytes));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_EmitTcp)->ArgNames({"timestamps", "sack"})->Args({0, 0})->Args({1, 0})->Args({1, 3});

Ipv4Header datagram_header() {
  Ipv4Header header;
  header.total_length = 1500;
  header.protocol = kProtocolTcp;
  header.dont_fragment = true;
  header.source = {0x0a4d0001};
  header.destination = {0x0a4d0002};
  return header;
}

// All headers of a received frame, outermost first: what each packet costs before any connection is looked up.
void BM_ParseFrame(benchmark::State& state) {
  std::array<std::byte, kEthernetHeader + kIpv4MinHeader + kTcpMaxHeader> frame{};
  const std::span whole(frame);
  emit_ethernet({{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}, kEtherTypeIpv4}, whole);
  emit_ipv4(datagram_header(), whole.subspan(kEthernetHeader));
  emit_tcp(data_header(true, 0), whole.subspan(kEthernetHeader + kIpv4MinHeader));
  for (auto _ : state) {
    const auto ethernet = parse_ethernet(frame);
    const auto ip = parse_ipv4(whole.subspan(kEthernetHeader), 1500);
    const auto tcp = parse_tcp(whole.subspan(kEthernetHeader + kIpv4MinHeader));
    if (!ethernet || !ip || !tcp) state.SkipWithError("the frame does not parse");
    benchmark::DoNotOptimize(ethernet);
    benchmark::DoNotOptimize(ip);
    benchmark::DoNotOptimize(tcp);
  }
}
BENCHMARK(BM_ParseFrame);

void BM_EmitIpv4(benchmark::State& state) {
  const Ipv4Header header = datagram_header();
  std::array<std::byte, kIpv4MinHeader> bytes{};
  for (auto _ : state) {
    emit_ipv4(header, bytes);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_EmitIpv4);

}  // namespace
}  // namespace holdfast::wire
