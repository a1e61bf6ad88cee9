// Writes packet captures in the pcapng format (draft-ietf-opsawg-pcapng): one section, one Ethernet interface, enhanced
// packet blocks with times in nanoseconds.
//
// A capture never harms what it looks at: when the file cannot be written, or has reached its size, the capture stops
// and says so.
//
// Threads: one. Writes to the file block, in pieces of kBuffer.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"

namespace holdfast::link {

// Of the calendar: nanoseconds since 1970-01-01 00:00 UTC.
using RealTime = std::chrono::sys_time<std::chrono::nanoseconds>;

enum class Direction : std::uint8_t { kInbound = 1, kOutbound = 2 };  // as in the epb_flags option

class PcapngWriter {
 public:
  static constexpr std::size_t kBuffer = 256U << 10;

  // Makes the file, or empties it. Nothing is written to it before the first packet or flush(). `max_bytes`: the
  // capture stops before the file would be larger; 0: no limit.
  static Result<PcapngWriter> open(const std::string& path, const std::string& interface, std::uint64_t max_bytes = 0);
  PcapngWriter(PcapngWriter&& other) noexcept;
  PcapngWriter& operator=(PcapngWriter&&) = delete;
  ~PcapngWriter();  // flushes, where there was a packet

  // A packet that lies in one piece. Does nothing once stopped().
  void write(Direction direction, RealTime time, Bytes packet);
  void flush();

  // Why the capture has ended before its time; a line for a person.
  const std::optional<std::string>& stopped() const { return stopped_; }
  std::uint64_t packets() const { return packets_; }

 private:
  PcapngWriter(std::string path, int fd, std::uint64_t max_bytes);
  void put_headers(const std::string& interface);

  std::string path_;
  int fd_;
  std::uint64_t max_bytes_;
  std::uint64_t size_ = 0;  // of the file, with what is buffered
  std::uint64_t packets_ = 0;
  std::vector<std::byte> buffer_;
  std::optional<std::string> stopped_;
};

}  // namespace holdfast::link
