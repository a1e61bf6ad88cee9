#include "link/pcapng.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/endian.h"

namespace holdfast::link {
namespace {

// Section 4 of the draft. All fields in the writer's byte order, which the section's magic tells.
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint16_t kLinkTypeEthernet = 1;
constexpr std::uint16_t kOptionEnd = 0;
constexpr std::uint16_t kOptionApplication = 4;  // shb_userappl
constexpr std::uint16_t kOptionName = 2;         // if_name
constexpr std::uint16_t kOptionResolution = 9;   // if_tsresol: a power of ten
constexpr std::uint16_t kOptionFlags = 2;        // epb_flags

constexpr std::size_t padded(std::size_t length) { return (length + 3) & ~std::size_t{3}; }

// A block under construction: its length stands at its begin and at its end.
class Block {
 public:
  Block(std::vector<std::byte>& out, std::uint32_t type) : out_(out), begin_(out.size()) {
    put32(type);
    put32(0);
  }
  void put16(std::uint16_t value) { put(&value, sizeof value); }
  void put32(std::uint32_t value) { put(&value, sizeof value); }
  void put_padded(Bytes bytes) {
    put(bytes.data(), bytes.size());
    out_.resize(out_.size() + padded(bytes.size()) - bytes.size());
  }
  void put_option(std::uint16_t code, Bytes value) {
    put16(code);
    put16(static_cast<std::uint16_t>(value.size()));
    put_padded(value);
  }
  void put_option(std::uint16_t code, std::string_view text) { put_option(code, std::as_bytes(std::span(text))); }
  void finish() {
    const auto length = static_cast<std::uint32_t>(out_.size() - begin_ + 4);
    put32(length);
    store_le(out_.data() + begin_ + 4, length);
  }

 private:
  void put(const void* data, std::size_t size) {
    const auto* const bytes = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), bytes, bytes + size);
  }

  std::vector<std::byte>& out_;
  const std::size_t begin_;
};

// Fixed fields, flags option, end of options, both lengths.
constexpr std::size_t kPacketOverhead = 8 + 20 + 8 + 4 + 4;

int write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const auto count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return 0;
}

}  // namespace

Result<PcapngWriter> PcapngWriter::open(const std::string& path, const std::string& interface,
                                        std::uint64_t max_bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    return fail(Error::Kind::kUnavailable,
                fmt::format("{}: cannot create the capture file: {}: choose another for --pcap", path,
                            std::generic_category().message(errno)));
  }
  PcapngWriter writer(path, fd, max_bytes);
  writer.put_headers(interface);
  return writer;
}

PcapngWriter::PcapngWriter(std::string path, int fd, std::uint64_t max_bytes)
    : path_(std::move(path)), fd_(fd), max_bytes_(max_bytes) {
  buffer_.reserve(2 * kBuffer);
}

PcapngWriter::PcapngWriter(PcapngWriter&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      max_bytes_(other.max_bytes_),
      size_(other.size_),
      packets_(other.packets_),
      buffer_(std::move(other.buffer_)),
      stopped_(std::move(other.stopped_)) {}

PcapngWriter::~PcapngWriter() {
  if (fd_ < 0) return;
  if (packets_ > 0) flush();
  ::close(fd_);
}

void PcapngWriter::put_headers(const std::string& interface) {
  Block section(buffer_, kSectionHeader);
  section.put32(kByteOrderMagic);
  section.put16(1);  // version 1.0
  section.put16(0);
  section.put32(0xffffffff);  // the section's length: not known
  section.put32(0xffffffff);
  section.put_option(kOptionApplication, std::string_view("holdfast"));
  section.put_option(kOptionEnd, Bytes());
  section.finish();

  Block description(buffer_, kInterfaceDescription);
  description.put16(kLinkTypeEthernet);
  description.put16(0);
  description.put32(0);  // packets are never cut
  description.put_option(kOptionName, interface);
  const std::byte nanoseconds{9};
  description.put_option(kOptionResolution, Bytes(&nanoseconds, 1));
  description.put_option(kOptionEnd, Bytes());
  description.finish();
  size_ = buffer_.size();
}

void PcapngWriter::write(Direction direction, RealTime time, Bytes packet) {
  if (stopped_) return;
  const std::size_t length = kPacketOverhead + padded(packet.size());
  if (max_bytes_ != 0 && size_ + length > max_bytes_) {
    flush();
    if (!stopped_)
      stopped_ = fmt::format("{}: the capture has reached its size of {} bytes and stops", path_, max_bytes_);
    return;
  }
  const auto nanoseconds = static_cast<std::uint64_t>(time.time_since_epoch().count());
  Block block(buffer_, kEnhancedPacket);
  block.put32(0);  // interface
  block.put32(static_cast<std::uint32_t>(nanoseconds >> 32));
  block.put32(static_cast<std::uint32_t>(nanoseconds));
  block.put32(static_cast<std::uint32_t>(packet.size()));
  block.put32(static_cast<std::uint32_t>(packet.size()));
  block.put_padded(packet);
  std::array<std::byte, 4> flags;
  store_le(flags.data(), std::uint32_t{static_cast<std::uint8_t>(direction)});
  block.put_option(kOptionFlags, flags);
  block.put_option(kOptionEnd, Bytes());
  block.finish();
  size_ += length;
  ++packets_;
  if (buffer_.size() >= kBuffer) flush();
}

void PcapngWriter::flush() {
  if (!stopped_) {
    const int error = write_all(fd_, buffer_);
    if (error != 0) {
      stopped_ = fmt::format("{}: cannot write, the capture stops: {}", path_, std::generic_category().message(error));
    }
  }
  buffer_.clear();
}

}  // namespace holdfast::link
