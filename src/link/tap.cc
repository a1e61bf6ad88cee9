#include "link/tap.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/assert.h"
#include "base/endian.h"
#include "link/interface.h"
#include "link/virtio_net_header.h"

namespace holdfast::link {
namespace {

constexpr const char* kDevice = "/dev/net/tun";
constexpr int kFlags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
// What the kernel may leave to us: checksums, and TCP super-segments.
constexpr unsigned kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

std::string text_of(int error) { return std::generic_category().message(error); }

std::unexpected<Error> unavailable(std::string message) { return fail(Error::Kind::kUnavailable, std::move(message)); }

std::unexpected<Error> cannot_open_device(int error) {
  const char* hint = "";
  if (error == EACCES || error == EPERM) hint = ": run as root or with CAP_NET_ADMIN";
  if (error == ENOENT || error == ENODEV || error == ENXIO) {
    hint = ": load the module (modprobe tun), or give the container the device";
  }
  return unavailable(fmt::format("cannot open {}: {}{}", kDevice, text_of(error), hint));
}

std::unexpected<Error> cannot_attach(const std::string& name, int error) {
  if (error == EBUSY) return fail(Error::Kind::kBusy, fmt::format("tap {} is in use by another process", name));
  if (error == EINVAL) {
    return unavailable(
        fmt::format("{} exists and is not a tap device with a single queue: choose another name or remove it", name));
  }
  if (error == EPERM) {
    return unavailable(
        fmt::format("cannot attach to tap {}: {}: run as root or with CAP_NET_ADMIN, or have it made for "
                    "this user: ip tuntap add {} mode tap user $USER",
                    name, text_of(error), name));
  }
  return unavailable(fmt::format("cannot attach to tap {}: {}", name, text_of(error)));
}

iovec io_vector(Bytes bytes) { return {const_cast<std::byte*>(bytes.data()), bytes.size()}; }

bool is_ipv6(Bytes head) { return head.size() >= 14 && load_be16(head.data() + 12) == kEtherTypeIpv6; }

std::uint8_t kind_of(const VirtioNetHeader& header) {
  return static_cast<std::uint8_t>(header.gso_type & ~VirtioNetHeader::kGsoEcn);
}

bool is_tcp(const VirtioNetHeader& header) {
  return kind_of(header) == VirtioNetHeader::kGsoTcpIpv4 || kind_of(header) == VirtioNetHeader::kGsoTcpIpv6;
}

// What the header says of a frame that was received.
void tell(const VirtioNetHeader& header, wire::RxFrame& frame) {
  frame.checksum_trusted = (header.flags & (VirtioNetHeader::kNeedsChecksum | VirtioNetHeader::kDataValid)) != 0;
  frame.gso_size = is_tcp(header) ? header.gso_size : std::uint16_t{0};
}

VirtioNetHeader header_for(const wire::TxFrame& frame) {
  VirtioNetHeader header;
  if (!frame.needs_checksum) return header;
  header.flags = VirtioNetHeader::kNeedsChecksum;
  header.checksum_start = frame.checksum_start;
  header.checksum_offset = frame.checksum_offset;
  // A payload of one segment is no super-segment, whatever size was asked for.
  if (frame.gso_size == 0 || frame.size() - frame.head.size() <= frame.gso_size) return header;
  header.gso_type = is_ipv6(frame.head) ? VirtioNetHeader::kGsoTcpIpv6 : VirtioNetHeader::kGsoTcpIpv4;
  header.gso_size = frame.gso_size;
  header.header_length = static_cast<std::uint16_t>(frame.head.size());
  return header;
}

}  // namespace

Tap::Tap(int fd) : fd_(fd), own_body_(std::make_unique<std::byte[]>(kMaxFrame + sizeof(VirtioNetHeader))) {}

Tap::~Tap() {
  if (source_ >= 0) ::close(source_);
  if (fd_ >= 0) ::close(fd_);
}

Result<std::unique_ptr<Tap>> Tap::open(const TapOptions& options) {
  if (!is_interface_name(options.name)) {
    return fail(Error::Kind::kUsage, fmt::format("'{}' is no name for a tap device: 1 to {} characters without / : or "
                                                 "white space",
                                                 options.name, IFNAMSIZ - 1));
  }
  const int fd = ::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return cannot_open_device(errno);
  std::unique_ptr<Tap> tap(new Tap(fd));
  if (auto attached = tap->attach(options.name); !attached) return std::unexpected(attached.error());
  if (auto ready = tap->set_up(options); !ready) return std::unexpected(ready.error());
  return tap;
}

Result<std::unique_ptr<Tap>> Tap::adopt(int fd, const TapOptions& options) {
  std::unique_ptr<Tap> tap(new Tap(fd));
  tap->source_ = options.receive_from;
  if (auto identified = tap->identify(options.name); !identified) return std::unexpected(identified.error());
  if (auto ready = tap->set_up(options); !ready) return std::unexpected(ready.error());
  return tap;
}

Result<void> Tap::attach(const std::string& name) {
  ifreq request{};
  std::ranges::copy(name, request.ifr_name);
  request.ifr_flags = kFlags;
  if (::ioctl(fd_, TUNSETIFF, &request) != 0) return cannot_attach(name, errno);
  name_ = request.ifr_name;
  return {};
}

bool Tap::is_attached() const {
  ifreq request{};
  return ::ioctl(fd_, TUNGETIFF, &request) == 0;
}

Result<void> Tap::identify(const std::string& expected_name) {
  ifreq request{};
  if (::ioctl(fd_, TUNGETIFF, &request) != 0) {
    return unavailable(fmt::format("the inherited descriptor {} is no tap device: {}", fd_, text_of(errno)));
  }
  name_ = request.ifr_name;
  if (!expected_name.empty() && name_ != expected_name) {
    return unavailable(
        fmt::format("the inherited descriptor belongs to {}, not to {}: was the configuration changed? "
                    "stop the node and start it anew",
                    name_, expected_name));
  }
  if ((request.ifr_flags & kFlags) != kFlags) {
    return unavailable(fmt::format("{}: the inherited descriptor is not a tap with virtio-net headers", name_));
  }
  const int flags = ::fcntl(fd_, F_GETFL);
  if (flags < 0 || ::fcntl(fd_, F_SETFL, flags | O_NONBLOCK) != 0 || ::fcntl(fd_, F_SETFD, FD_CLOEXEC) != 0) {
    return unavailable(fmt::format("{}: cannot set up the inherited descriptor: {}", name_, text_of(errno)));
  }
  return {};
}

Result<void> Tap::set_up(const TapOptions& options) {
  const int header_size = sizeof(VirtioNetHeader);
  const int little_endian = 1;
  if (::ioctl(fd_, TUNSETVNETHDRSZ, &header_size) != 0 || ::ioctl(fd_, TUNSETVNETLE, &little_endian) != 0 ||
      ::ioctl(fd_, TUNSETOFFLOAD, kOffloads) != 0) {
    return unavailable(fmt::format("{}: the device lacks the offloads that we need: {}", name_, text_of(errno)));
  }
  if (auto up = bring_up(name_, options.mtu); !up) return up;
  if (options.pcap.empty()) return {};
  auto writer = PcapngWriter::open(options.pcap, name_, options.pcap_max_bytes);
  if (!writer) return std::unexpected(writer.error());
  capture_.emplace(std::move(*writer), &real_time);
  return {};
}

Result<void> Tap::make_persistent() {
  if (::ioctl(fd_, TUNSETPERSIST, 1) == 0) return {};
  return unavailable(fmt::format("{}: cannot make the device persistent: {}", name_, text_of(errno)));
}

Result<void> Tap::make_transient() {
  if (::ioctl(fd_, TUNSETPERSIST, 0) == 0) return {};
  return unavailable(
      fmt::format("{}: cannot let the device go: {}: `ip link del {}` removes it", name_, text_of(errno), name_));
}

bool Tap::is_persistent() const {
  ifreq request{};
  return ::ioctl(fd_, TUNGETIFF, &request) == 0 && (request.ifr_flags & IFF_PERSIST) != 0;
}

void Tap::set_head_size(std::size_t size) { head_size_ = std::clamp<std::size_t>(size, 14, kMaxHead); }

// The next frame that is of use; its length.
std::optional<std::size_t> Tap::read(VirtioNetHeader& header, MutableBytes head, MutableBytes body) {
  if (failure_) return std::nullopt;
  for (;;) {
    const std::array<iovec, 3> pieces = {iovec{&header, sizeof header}, iovec{head.data(), head.size()},
                                         iovec{body.data(), body.size()}};
    const auto count = ::readv(fd(), pieces.data(), pieces.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return std::nullopt;
    if (count < 0 || (count == 0 && source_ >= 0)) {
      failure_ =
          Error{Error::Kind::kUnavailable,
                count == 0 ? fmt::format("{}: nobody gives us frames any more", name_)
                           : fmt::format("{}: cannot receive: {}: was the device removed?", name_, text_of(errno))};
      return std::nullopt;
    }
    const auto length = static_cast<std::size_t>(count);
    if (length > sizeof header && length - sizeof header <= kMaxFrame &&
        (kind_of(header) == VirtioNetHeader::kGsoNone || is_tcp(header))) {
      ++counters_.frames_in;
      counters_.bytes_in += length - sizeof header;
      return length - sizeof header;
    }
    ++counters_.dropped_in;
  }
}

std::optional<wire::RxFrame> Tap::receive(MutableBytes body) {
  if (body.size() < kMaxFrame) body = MutableBytes(own_body_.get(), kMaxFrame);
  VirtioNetHeader header;
  const auto length = read(header, MutableBytes(head_).first(head_size_), body.first(kMaxFrame));
  if (!length) return std::nullopt;
  const std::size_t in_head = std::min(*length, head_size_);
  wire::RxFrame frame;
  frame.head = MutableBytes(head_.data(), in_head);
  frame.body = body.first(*length - in_head);
  tell(header, frame);
  if (capture_) capture_->received(frame);
  return frame;
}

std::optional<Tap::WholeFrame> Tap::receive_whole() {
  VirtioNetHeader header;
  const MutableBytes message(own_body_.get(), kMaxFrame + sizeof header);
  const auto length = read(header, message.subspan(sizeof header), {});
  if (!length) return std::nullopt;
  std::memcpy(message.data(), &header, sizeof header);
  WholeFrame whole{.message = message.first(sizeof header + *length), .frame = {}};
  whole.frame.head = message.subspan(sizeof header, *length);
  tell(header, whole.frame);
  if (capture_) capture_->received(whole.frame);
  return whole;
}

void Tap::transmit(const wire::TxFrame& frame) {
  VirtioNetHeader header = header_for(frame);
  const std::array<iovec, 4> pieces = {iovec{&header, sizeof header}, io_vector(frame.head),
                                       io_vector(frame.payload[0]), io_vector(frame.payload[1])};
  ssize_t count = 0;
  do {
    count = ::writev(fd_, pieces.data(), pieces.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    const bool busy = errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;
    ++(busy ? counters_.dropped_busy : counters_.dropped_refused);
    return;
  }
  ++counters_.frames_out;
  counters_.bytes_out += frame.size();
  if (capture_) capture_->sent(frame);
}

}  // namespace holdfast::link
