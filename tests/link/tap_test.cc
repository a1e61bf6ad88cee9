#include "link/tap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "base/endian.h"
#include "link/network_namespace.h"
#include "link/tshark.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace holdfast::link {
namespace {

using testing::HasSubstr;
using wire::Ipv4Address;

constexpr Ipv4Address kKernel{0x0a090001}, kUs{0x0a090002};  // 10.9.0.1, 10.9.0.2
constexpr wire::MacAddress kOurMac{{2, 0, 0, 0, 0, 2}};
constexpr int kPatience = 10'000;  // ms until a test fails

sockaddr_in socket_address(Ipv4Address address, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = htonl(address.value);
  return result;
}

bool readable(int fd, int milliseconds = kPatience) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, milliseconds) == 1;
}

// A frame of ours under construction: headers, then payload.
struct Frame {
  std::vector<std::byte> head;
  std::vector<std::byte> payload;
  std::uint16_t checksum_offset = 0;
  static constexpr std::uint16_t kTransport = wire::kEthernetHeader + wire::kIpv4MinHeader;

  wire::TxFrame tx() const {
    wire::TxFrame frame;
    frame.head = head;
    frame.payload[0] = payload;
    return frame;
  }
  wire::TxFrame tx_with_offload(std::uint16_t gso_size = 0) const {
    wire::TxFrame frame = tx();
    // In two pieces, as a ring buffer's end cuts it.
    frame.payload[0] = Bytes(payload).first(payload.size() / 3);
    frame.payload[1] = Bytes(payload).subspan(payload.size() / 3);
    frame.needs_checksum = true;
    frame.checksum_start = kTransport;
    frame.checksum_offset = checksum_offset;
    frame.gso_size = gso_size;
    return frame;
  }
};

// The frame as it was received, in one piece.
std::vector<std::byte> whole(const wire::RxFrame& frame) {
  std::vector<std::byte> bytes(frame.head.begin(), frame.head.end());
  bytes.insert(bytes.end(), frame.body.begin(), frame.body.end());
  return bytes;
}

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 7 + i / 251) & 0xff);
  return bytes;
}

class TapTest : public NetworkNamespaceTest {
 protected:
  void SetUp() override {
    NetworkNamespaceTest::SetUp();
    auto opened = Tap::open({.name = "hftest0"});
    ASSERT_TRUE(opened) << opened.error().message;
    tap = std::move(*opened);
    run("ip addr add 10.9.0.1/24 dev hftest0");
    run("ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev hftest0");
    kernel_mac = read_mac();
  }
  void TearDown() override {
    for (const int fd : sockets) ::close(fd);
  }

  wire::MacAddress read_mac() {
    ifreq request{};
    std::strcpy(request.ifr_name, "hftest0");
    EXPECT_EQ(::ioctl(socket(SOCK_DGRAM), SIOCGIFHWADDR, &request), 0);
    return wire::load_mac(reinterpret_cast<const std::byte*>(request.ifr_hwaddr.sa_data));
  }

  int socket(int type, std::uint16_t port = 0) {
    const int fd = ::socket(AF_INET, type, 0);
    sockets.push_back(fd);
    const sockaddr_in address = socket_address(kKernel, port);
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << std::strerror(errno);
    return fd;
  }

  // The next frame, waited for.
  std::optional<wire::RxFrame> next(MutableBytes body = {}) {
    if (auto frame = tap->receive(body)) return frame;
    EXPECT_TRUE(readable(tap->fd())) << "no frame came";
    return tap->receive(body);
  }

  void put_network_headers(Frame& frame, std::uint8_t protocol, std::size_t transport_length) const {
    frame.head.resize(Frame::kTransport);
    wire::emit_ethernet({kernel_mac, kOurMac, wire::kEtherTypeIpv4}, frame.head);
    wire::Ipv4Header ip;
    ip.total_length = static_cast<std::uint16_t>(wire::kIpv4MinHeader + transport_length);
    ip.dont_fragment = true;
    ip.protocol = protocol;
    ip.source = kUs;
    ip.destination = kKernel;
    wire::emit_ipv4(ip, MutableBytes(frame.head).subspan(wire::kEthernetHeader));
  }

  // With the pseudo-header's sum in the checksum field.
  Frame udp_frame(std::uint16_t port, std::vector<std::byte> payload) const {
    Frame frame;
    frame.payload = std::move(payload);
    frame.checksum_offset = 6;
    const auto length = static_cast<std::uint16_t>(8 + frame.payload.size());
    put_network_headers(frame, wire::kProtocolUdp, length);
    std::array<std::byte, 8> udp{};
    store_be16(udp.data(), 4000);
    store_be16(udp.data() + 2, port);
    store_be16(udp.data() + 4, length);
    store_be16(udp.data() + 6, wire::pseudo_header_sum(kUs, kKernel, wire::kProtocolUdp, length));
    frame.head.insert(frame.head.end(), udp.begin(), udp.end());
    return frame;
  }

  Frame tcp_frame(const wire::TcpHeader& header, std::vector<std::byte> payload) const {
    Frame frame;
    frame.payload = std::move(payload);
    frame.checksum_offset = 16;
    std::array<std::byte, wire::kTcpMaxHeader> tcp{};
    const std::size_t length = wire::emit_tcp(header, tcp);
    const auto total = static_cast<std::uint32_t>(length + frame.payload.size());
    put_network_headers(frame, wire::kProtocolTcp, total);
    store_be16(tcp.data() + 16, wire::pseudo_header_sum(kUs, kKernel, wire::kProtocolTcp, total));
    frame.head.insert(frame.head.end(), tcp.begin(), tcp.begin() + static_cast<std::ptrdiff_t>(length));
    return frame;
  }

  // Received bytes, or nothing if none came in time.
  static std::vector<std::byte> receive_from(int fd, int milliseconds = kPatience) {
    std::vector<std::byte> bytes(1 << 16);
    if (!readable(fd, milliseconds)) return {};
    const auto count = ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return bytes;
  }

  struct Segment {
    wire::ParsedTcp tcp;
    std::vector<std::byte> payload;
    std::uint16_t gso_size = 0;
    bool checksum_trusted = false;
  };
  // The next TCP segment from the kernel.
  std::optional<Segment> next_tcp() {
    for (;;) {
      const auto frame = next();
      if (!frame) return std::nullopt;
      const auto bytes = whole(*frame);
      const auto ethernet = wire::parse_ethernet(bytes);
      if (!ethernet || ethernet->ether_type != wire::kEtherTypeIpv4) continue;
      const Bytes datagram = Bytes(bytes).subspan(wire::kEthernetHeader);
      const auto ip = wire::parse_ipv4(datagram, datagram.size());
      if (!ip || ip->protocol != wire::kProtocolTcp) continue;
      const Bytes transport = datagram.subspan(ip->header_length, ip->payload_length());
      const auto tcp = wire::parse_tcp(transport);
      if (!tcp) continue;
      const Bytes payload = transport.subspan(tcp->header_length);
      return Segment{*tcp, {payload.begin(), payload.end()}, frame->gso_size, frame->checksum_trusted};
    }
  }

  // A connection that the kernel opened to us: the socket, and the numbers to go on with.
  struct Connected {
    int socket;
    wire::TcpHeader reply;  // for our next segment
  };
  Connected connect_from_kernel() {
    const int fd = socket(SOCK_STREAM);
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    const sockaddr_in us = socket_address(kUs, 80);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&us), sizeof us), -1);
    const auto syn = next_tcp();
    EXPECT_TRUE(syn && syn->tcp.header.flags.syn);
    wire::TcpHeader header;
    header.source = syn->tcp.header.destination;
    header.destination = syn->tcp.header.source;
    header.seq = wire::SeqNum{1000};
    header.ack = syn->tcp.header.seq + 1;
    header.flags = {.syn = true, .ack = true};
    header.window = 65535;
    header.options.mss = 1460;
    tap->transmit(tcp_frame(header, {}).tx_with_offload());
    const auto ack = next_tcp();
    EXPECT_TRUE(ack && ack->tcp.header.flags.ack && !ack->tcp.header.flags.syn);
    header.seq = header.seq + 1;
    header.flags = {.ack = true};
    header.options = {};
    return {fd, header};
  }

  std::unique_ptr<Tap> tap;
  wire::MacAddress kernel_mac;
  std::vector<int> sockets;
};

TEST_F(TapTest, KernelsUdpComesWithItsChecksumLeftOut) {
  const int fd = socket(SOCK_DGRAM, 5000);
  const sockaddr_in us = socket_address(kUs, 6000);
  ASSERT_EQ(::sendto(fd, "hello", 5, 0, reinterpret_cast<const sockaddr*>(&us), sizeof us), 5);
  const auto frame = next();
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->checksum_trusted);
  EXPECT_EQ(frame->gso_size, 0);
  const auto bytes = whole(*frame);
  ASSERT_EQ(bytes.size(), 14U + 20 + 8 + 5);
  EXPECT_EQ(std::memcmp(bytes.data() + 42, "hello", 5), 0);
  EXPECT_EQ(tap->counters().frames_in, 1U);
  EXPECT_EQ(tap->counters().bytes_in, bytes.size());
  EXPECT_FALSE(tap->receive({}));
  EXPECT_FALSE(tap->failure());
}

TEST_F(TapTest, PayloadLandsBehindTheHead) {
  const int fd = socket(SOCK_DGRAM, 5000);
  const sockaddr_in us = socket_address(kUs, 6000);
  const auto payload = pattern(1000);
  std::vector<std::byte> body(Tap::kMaxFrame);
  tap->set_head_size(42);
  ASSERT_EQ(::sendto(fd, payload.data(), 1000, 0, reinterpret_cast<const sockaddr*>(&us), sizeof us), 1000);
  auto frame = next(body);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->head.size(), 42U);
  EXPECT_EQ(frame->body.data(), body.data());
  ASSERT_EQ(frame->body.size(), 1000U);
  EXPECT_EQ(std::memcmp(body.data(), payload.data(), 1000), 0);

  // Shorter than the head: all in there.
  tap->set_head_size(66);
  ASSERT_EQ(::sendto(fd, payload.data(), 8, 0, reinterpret_cast<const sockaddr*>(&us), sizeof us), 8);
  frame = next(body);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->head.size(), 50U);
  EXPECT_TRUE(frame->body.empty());

  // No room for any frame: the link's own buffer.
  body.resize(Tap::kMaxFrame - 1);
  ASSERT_EQ(::sendto(fd, payload.data(), 1000, 0, reinterpret_cast<const sockaddr*>(&us), sizeof us), 1000);
  frame = next(body);
  ASSERT_TRUE(frame);
  EXPECT_NE(frame->body.data(), body.data());
  EXPECT_EQ(whole(*frame).size(), 1042U);
}

TEST_F(TapTest, AnotherProcessMayReadTheDeviceForUs) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
  auto opened = Tap::adopt(::dup(tap->fd()), {.receive_from = ends[1]});
  ASSERT_TRUE(opened) << opened.error().message;
  auto& worker = **opened;
  EXPECT_FALSE(worker.receive({}));

  const int fd = socket(SOCK_DGRAM, 5000);
  const sockaddr_in us = socket_address(kUs, 6000);
  const auto payload = pattern(1000);
  ASSERT_EQ(::sendto(fd, payload.data(), 1000, 0, reinterpret_cast<const sockaddr*>(&us), sizeof us), 1000);
  ASSERT_TRUE(readable(tap->fd()));
  std::optional<Tap::WholeFrame> read;
  while ((read = tap->receive_whole()) && read->frame.head.size() != 1042) {
  }
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->frame.checksum_trusted);
  ASSERT_EQ(::write(ends[0], read->message.data(), read->message.size()), static_cast<ssize_t>(read->message.size()));

  EXPECT_TRUE(readable(worker.fd()));
  const auto frame = worker.receive({});
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->checksum_trusted);
  const auto bytes = whole(*frame);
  ASSERT_EQ(bytes.size(), 1042U);
  EXPECT_EQ(std::memcmp(bytes.data() + 42, payload.data(), 1000), 0);
  EXPECT_FALSE(worker.receive({}));
  EXPECT_FALSE(worker.failure());
  ::close(ends[0]);
  EXPECT_FALSE(worker.receive({}));
  EXPECT_TRUE(worker.failure());
}

TEST_F(TapTest, KernelAsksForOurAddress) {
  run("ip neigh del 10.9.0.2 dev hftest0");
  const int fd = socket(SOCK_DGRAM, 5000);
  const sockaddr_in us = socket_address(kUs, 6000);
  ASSERT_EQ(::sendto(fd, "hello", 5, 0, reinterpret_cast<const sockaddr*>(&us), sizeof us), 5);
  const auto request = next();
  ASSERT_TRUE(request);
  const auto bytes = whole(*request);
  const auto arp = wire::parse_arp(Bytes(bytes).subspan(wire::kEthernetHeader));
  ASSERT_TRUE(arp);
  EXPECT_EQ(arp->target, kUs);

  std::array<std::byte, wire::kEthernetHeader + wire::kArpPacket> answer{};
  wire::emit_ethernet({kernel_mac, kOurMac, wire::kEtherTypeArp}, answer);
  wire::emit_arp({wire::ArpOperation::kReply, kOurMac, kUs, kernel_mac, kKernel},
                 MutableBytes(answer).subspan(wire::kEthernetHeader));
  wire::TxFrame frame;
  frame.head = answer;
  tap->transmit(frame);
  for (;;) {  // it may have asked again meanwhile
    const auto datagram = next();
    ASSERT_TRUE(datagram);
    const auto received = whole(*datagram);
    if (wire::parse_ethernet(received)->ether_type == wire::kEtherTypeArp) continue;
    EXPECT_EQ(received.size(), 47U);
    break;
  }
}

TEST_F(TapTest, ChecksumIsCompletedByTheDevice) {
  const int fd = socket(SOCK_DGRAM, 5000);
  const auto payload = pattern(999);
  tap->transmit(udp_frame(5000, payload).tx_with_offload());
  EXPECT_EQ(receive_from(fd), payload);
  EXPECT_EQ(tap->counters().frames_out, 1U);
}

TEST_F(TapTest, FrameWithoutOffloadMustBringItsOwnChecksum) {
  const int fd = socket(SOCK_DGRAM, 5000);
  Frame good = udp_frame(5000, pattern(100)), bad = udp_frame(5000, pattern(50));
  wire::ChecksumSum sum;  // the pseudo-header's is in the field already
  sum.add(Bytes(good.head).subspan(Frame::kTransport));
  sum.add(good.payload);
  store_be16(good.head.data() + Frame::kTransport + 6, sum.checksum());
  tap->transmit(bad.tx());  // taken, then dropped by the kernel's UDP: were it not, it would come first
  tap->transmit(good.tx());
  EXPECT_EQ(receive_from(fd), good.payload);
}

TEST_F(TapTest, KernelSendsSuperSegments) {
  const auto connected = connect_from_kernel();
  const auto payload = pattern(14'000);
  ASSERT_EQ(::send(connected.socket, payload.data(), payload.size(), 0), static_cast<ssize_t>(payload.size()));
  std::vector<std::byte> received;
  std::size_t largest = 0;
  wire::TcpHeader reply = connected.reply;
  while (received.size() < payload.size()) {
    const auto segment = next_tcp();
    ASSERT_TRUE(segment);
    if (segment->tcp.header.seq != reply.ack) continue;
    EXPECT_TRUE(segment->checksum_trusted);
    if (segment->payload.size() > 1460) {
      EXPECT_EQ(segment->gso_size, 1460);
    }
    largest = std::max(largest, segment->payload.size());
    received.insert(received.end(), segment->payload.begin(), segment->payload.end());
    reply.ack = reply.ack + static_cast<std::uint32_t>(segment->payload.size());
    tap->transmit(tcp_frame(reply, {}).tx_with_offload());
  }
  EXPECT_EQ(received, payload);
  EXPECT_GT(largest, 1460U);
}

TEST_F(TapTest, KernelTakesSuperSegments) {
  const auto connected = connect_from_kernel();
  const auto payload = pattern(20'000);
  tap->transmit(tcp_frame(connected.reply, payload).tx_with_offload(1460));
  EXPECT_EQ(tap->counters().dropped_refused, 0U);
  std::vector<std::byte> received;
  while (received.size() < payload.size()) {
    const auto piece = receive_from(connected.socket);
    ASSERT_FALSE(piece.empty());
    received.insert(received.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(received, payload);
  // A single segment is none, whatever the size that was asked for.
  wire::TcpHeader header = connected.reply;
  header.seq = header.seq + static_cast<std::uint32_t>(payload.size());
  tap->transmit(tcp_frame(header, pattern(700)).tx_with_offload(1460));
  EXPECT_EQ(receive_from(connected.socket), pattern(700));
}

TEST_F(TapTest, MalformedFrameIsRefusedAndCounted) {
  Frame frame = udp_frame(5000, pattern(10));
  wire::TxFrame bad = frame.tx_with_offload();
  bad.checksum_start = 10'000;
  tap->transmit(bad);
  EXPECT_EQ(tap->counters().dropped_refused, 1U);
  EXPECT_EQ(tap->counters().frames_out, 0U);
}

TEST_F(TapTest, FramesWaitForTheProcessThatTakesTheDescriptorOver) {
  const int fd = socket(SOCK_DGRAM, 5000);
  const sockaddr_in us = socket_address(kUs, 6000);
  const int kept = ::dup(tap->fd());  // the keeper's
  tap.reset();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(::sendto(fd, &i, sizeof i, 0, reinterpret_cast<const sockaddr*>(&us), sizeof us),
              static_cast<ssize_t>(sizeof i));
  }
  auto adopted = Tap::adopt(kept, {.name = "hftest0"});
  ASSERT_TRUE(adopted) << adopted.error().message;
  tap = std::move(*adopted);
  EXPECT_EQ(tap->name(), "hftest0");
  for (int i = 0; i < 3; ++i) {
    const auto frame = next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(std::memcmp(whole(*frame).data() + 42, &i, sizeof i), 0);
  }
  // Offloads work as before.
  const auto payload = pattern(500);
  tap->transmit(udp_frame(5000, payload).tx_with_offload());
  EXPECT_EQ(receive_from(fd), payload);
}

TEST_F(TapTest, AdoptingSomethingElseIsRefused) {
  EXPECT_THAT(Tap::adopt(::dup(tap->fd()), {.name = "other"}).error().message, HasSubstr("belongs to hftest0"));
  EXPECT_THAT(Tap::adopt(::dup(0), {}).error().message, HasSubstr("is no tap device"));
}

TEST_F(TapTest, DeviceInUseIsNamed) {
  const auto second = Tap::open({.name = "hftest0"});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "tap hftest0 is in use by another process");
}

TEST_F(TapTest, BadNamesAreRefused) {
  for (const char* name : {"", "a-name-that-is-too-long", "a/b", "..", "a b"}) {
    const auto refused = Tap::open({.name = name});
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().kind, Error::Kind::kUsage);
  }
  const auto loopback = Tap::open({.name = "lo"});
  ASSERT_FALSE(loopback);
  EXPECT_THAT(loopback.error().message, HasSubstr("not a tap device"));
}

TEST_F(TapTest, PersistentDeviceOutlivesItsDescriptor) {
  ASSERT_TRUE(tap->make_persistent());
  tap.reset();
  EXPECT_NE(::if_nametoindex("hftest0"), 0U);
  auto again = Tap::open({.name = "hftest0", .mtu = 9000});
  ASSERT_TRUE(again) << again.error().message;
  run("ip -o link show hftest0 | grep -q 'mtu 9000'");
  run("ip -o addr show hftest0 | grep -q 10.9.0.1");
}

TEST_F(TapTest, DeviceMadeByTheAdministratorIsTaken) {
  run("ip tuntap add hftest1 mode tap");
  auto opened = Tap::open({.name = "hftest1"});
  ASSERT_TRUE(opened) << opened.error().message;
  run("ip -o link show hftest1 | grep -q UP");
}

// One frame from each of many peers: what is beyond the queue is dropped, and its sender waits for its time-out.
TEST_F(TapTest, FramesOfManyPeersWait) {
  run("ip -o link show hftest0 | grep -q 'qlen 65536'");
  run("ip tuntap add hftest2 mode tap && ip link set hftest2 txqueuelen 100000");
  ASSERT_TRUE(Tap::open({.name = "hftest2"}));
  run("ip -o link show hftest2 | grep -q 'qlen 100000'");
}

TEST_F(TapTest, RemovedDeviceIsAFailureNotACrash) {
  run("ip link del hftest0");
  EXPECT_FALSE(tap->receive({}));
  ASSERT_TRUE(tap->failure());
  EXPECT_THAT(tap->failure()->message, HasSubstr("hftest0"));
  tap->transmit(udp_frame(5000, pattern(10)).tx());
  EXPECT_EQ(tap->counters().dropped_refused, 1U);
  EXPECT_FALSE(tap->receive({}));
}

TEST_F(TapTest, CaptureHoldsBothDirectionsWithGoodChecksums) {
  const std::string path = testing::TempDir() + "holdfast-tap-test.pcapng";
  tap.reset();
  auto opened = Tap::open({.name = "hftest0", .pcap = path});
  ASSERT_TRUE(opened) << opened.error().message;
  tap = std::move(*opened);
  run("ip addr replace 10.9.0.1/24 dev hftest0");
  run("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev hftest0");
  kernel_mac = read_mac();
  const auto connected = connect_from_kernel();
  tap->transmit(tcp_frame(connected.reply, pattern(20'001)).tx_with_offload(1460));
  tap.reset();
  // SYN, SYN-ACK, ACK, super-segment: direction, payload, checksum verified as good.
  EXPECT_EQ(tshark(path,
                   "-Y tcp -o tcp.check_checksum:TRUE -e frame.packet_flags_direction -e tcp.len "
                   "-e tcp.checksum.status"),
            "0x00000001\t0\t1\n0x00000002\t0\t1\n0x00000001\t0\t1\n0x00000002\t20001\t1\n");
  ::unlink(path.c_str());
}

TEST_F(TapTest, CaptureThatCannotBeMadeIsAnErrorAtTheStart) {
  tap.reset();
  const auto refused = Tap::open({.name = "hftest0", .pcap = "/nonexistent/file"});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("/nonexistent/file: cannot create the capture file"));
}

TEST_F(TapTest, WithoutPermissionTheMessageSaysWhatToDo) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if ((::setgid(65534) | ::setuid(65534)) != 0) ::_exit(1);
    const auto refused = Tap::open({.name = "hftest1"});
    const bool good = !refused && refused.error().kind == Error::Kind::kUnavailable &&
                      refused.error().message.find("run as root or with CAP_NET_ADMIN") != std::string::npos;
    ::_exit(good ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace holdfast::link
