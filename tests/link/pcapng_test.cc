#include "link/pcapng.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/endian.h"
#include "link/capture.h"
#include "link/tshark.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace holdfast::link {
namespace {

namespace fs = std::filesystem;
using std::chrono::nanoseconds;
using testing::HasSubstr;

constexpr wire::Ipv4Address kHere{0x0a090001}, kThere{0x0a090002};
constexpr nanoseconds kMoment{1'700'000'000'123'456'789};

RealTime at_the_moment() { return RealTime(kMoment); }

class PcapngTest : public testing::Test {
 protected:
  void SetUp() override { path = testing::TempDir() + "holdfast-pcapng-test-" + std::to_string(::getpid()); }
  void TearDown() override { fs::remove(path); }

  PcapngWriter open(std::uint64_t max_bytes = 0) {
    auto writer = PcapngWriter::open(path, "tap0", max_bytes);
    EXPECT_TRUE(writer);
    return std::move(*writer);
  }
  std::vector<unsigned char> content() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // A TCP segment, with only the pseudo-header's sum in its checksum field.
  static std::vector<std::byte> segment(std::size_t payload) {
    std::vector<std::byte> frame(54 + payload, std::byte{0x5a});
    wire::emit_ethernet({{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}, wire::kEtherTypeIpv4}, frame);
    wire::Ipv4Header ip;
    ip.total_length = static_cast<std::uint16_t>(40 + payload);
    ip.protocol = wire::kProtocolTcp;
    ip.source = kHere;
    ip.destination = kThere;
    wire::emit_ipv4(ip, MutableBytes(frame).subspan(14));
    std::array<std::byte, wire::kTcpMaxHeader> tcp{};
    wire::TcpHeader header;
    header.source = wire::Port{1};
    header.destination = wire::Port{2};
    header.flags.ack = true;
    EXPECT_EQ(wire::emit_tcp(header, tcp), 20U);
    store_be16(tcp.data() + 16,
               wire::pseudo_header_sum(kHere, kThere, wire::kProtocolTcp, static_cast<std::uint32_t>(20 + payload)));
    std::memcpy(frame.data() + 34, tcp.data(), 20);
    return frame;
  }

  std::string path;
};

// draft-ietf-opsawg-pcapng, sections 4.1 to 4.3.
TEST_F(PcapngTest, BlocksAreAsTheFormatWantsThem) {
  {
    auto writer = open();
    const std::array<std::byte, 5> packet{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{5}};
    writer.write(Direction::kOutbound, RealTime(nanoseconds(0x1122334455667788)), packet);
  }
  const std::vector<unsigned char> expected = {
      // section header
      0x0a, 0x0d, 0x0d, 0x0a, 0x2c, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,  //
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,                             //
      4, 0, 8, 0, 'h', 'o', 'l', 'd', 'f', 'a', 's', 't', 0, 0, 0, 0, 0x2c, 0, 0, 0,
      // interface description
      1, 0, 0, 0, 0x28, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,                                  //
      2, 0, 4, 0, 't', 'a', 'p', '0', 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0x28, 0, 0, 0,  //
      // enhanced packet
      6, 0, 0, 0, 0x34, 0, 0, 0, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55,  //
      5, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0,                                         //
      2, 0, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x34, 0, 0, 0};
  EXPECT_EQ(content(), expected);
}

TEST_F(PcapngTest, TsharkReadsTimeLengthAndDirection) {
  {
    auto writer = open();
    writer.write(Direction::kInbound, RealTime(kMoment), segment(10));
    writer.write(Direction::kOutbound, RealTime(kMoment + nanoseconds(1)), segment(65'000));
  }
  EXPECT_EQ(tshark(path, "-e frame.time_epoch -e frame.len -e frame.packet_flags_direction -e frame.interface_name"),
            "1700000000.123456789\t64\t0x00000001\ttap0\n1700000000.123456790\t65054\t0x00000002\ttap0\n");
}

TEST_F(PcapngTest, OffloadedChecksumsAreCompletedInTheCapture) {
  {
    Capture capture(open(), &at_the_moment);
    auto sent = segment(3000);
    const auto untouched = sent;
    wire::TxFrame tx;
    tx.head = Bytes(sent).first(54);
    tx.payload = {Bytes(sent).subspan(54, 999), Bytes(sent).subspan(54 + 999)};
    tx.needs_checksum = true;
    tx.checksum_start = 34;
    tx.checksum_offset = 16;
    tx.gso_size = 1460;
    capture.sent(tx);
    wire::RxFrame rx;
    rx.head = MutableBytes(sent).first(40);
    rx.body = MutableBytes(sent).subspan(40);
    rx.checksum_trusted = true;
    capture.received(rx);
    EXPECT_EQ(sent, untouched);
    rx.checksum_trusted = false;  // as it came: bad, for a reader to see
    capture.received(rx);
  }
  EXPECT_EQ(tshark(path, "-o tcp.check_checksum:TRUE -e frame.len -e tcp.checksum.status"),
            "3054\t1\n3054\t1\n3054\t0\n");
}

TEST_F(PcapngTest, HostileFramesAreCapturedAsTheyAre) {
  {
    Capture capture(open(), &at_the_moment);
    for (std::size_t length = 0; length <= 60; ++length) {
      auto cut = segment(6);
      cut.resize(length);
      wire::RxFrame rx;
      rx.head = cut;
      rx.checksum_trusted = true;
      capture.received(rx);
      wire::TxFrame tx;
      tx.head = cut;
      tx.needs_checksum = true;
      tx.checksum_start = static_cast<std::uint16_t>(length * 3 % 70);
      tx.checksum_offset = static_cast<std::uint16_t>(length * 5 % 40);
      capture.sent(tx);
    }
    EXPECT_EQ(capture.writer().packets(), 122U);
  }
  EXPECT_THAT(tshark(path, "-e frame.number"), testing::EndsWith("\n122\n"));
}

TEST_F(PcapngTest, CaptureStopsBeforeItsLimitAndSaysSo) {
  {
    auto writer = open(1000);
    for (int i = 0; i < 10; ++i) writer.write(Direction::kInbound, RealTime(kMoment), segment(100));
    ASSERT_TRUE(writer.stopped());
    EXPECT_THAT(*writer.stopped(), HasSubstr("1000 bytes"));
    EXPECT_EQ(writer.packets(), 4U);
  }
  EXPECT_LE(fs::file_size(path), 1000U);
  EXPECT_EQ(tshark(path, "-e frame.number"), "1\n2\n3\n4\n");
}

TEST_F(PcapngTest, FailedWriteStopsTheCaptureOnly) {
  auto writer = PcapngWriter::open("/dev/full", "tap0");
  ASSERT_TRUE(writer);
  writer->write(Direction::kInbound, RealTime(kMoment), segment(100));
  EXPECT_FALSE(writer->stopped());
  writer->flush();
  ASSERT_TRUE(writer->stopped());
  EXPECT_THAT(*writer->stopped(), HasSubstr("/dev/full: cannot write, the capture stops: No space left"));
  writer->write(Direction::kInbound, RealTime(kMoment), segment(100));
  EXPECT_EQ(writer->packets(), 1U);
}

// The keeper holds the device without reading it: its capture must not overwrite the node's.
TEST_F(PcapngTest, UnusedCaptureWritesNothing) {
  {
    auto keeper = open();
    auto node = open();
    node.write(Direction::kInbound, RealTime(kMoment), segment(1));
  }
  EXPECT_EQ(tshark(path, "-e frame.number"), "1\n");
}

TEST_F(PcapngTest, SinkPassesFramesOn) {
  struct Next : wire::FrameSink {
    void transmit(const wire::TxFrame& frame) override { sizes.push_back(frame.size()); }
    std::vector<std::size_t> sizes;
  } next;
  Capture capture(open(), &at_the_moment);
  CapturingSink sink(next, capture);
  const auto frame = segment(7);
  wire::TxFrame tx;
  tx.head = frame;
  sink.transmit(tx);
  EXPECT_EQ(next.sizes, std::vector<std::size_t>{61});
  EXPECT_EQ(capture.writer().packets(), 1U);
}

}  // namespace
}  // namespace holdfast::link
