// A TAP device: the kernel of this machine is at the other end of the wire, and takes checksums and the cutting of
// super-segments off our hands (virtio-net header).
//
// Frames wait in the device while nobody reads, also between two processes that hold its descriptor one after the other
// (adopt()); so a node can be restarted without a frame lost. Device, addresses and routes are removed only by
// make_transient().
//
// Threads: one owner thread. After construction neither receive() nor transmit() allocates.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/units.h"
#include "link/capture.h"
#include "wire/frame.h"

namespace holdfast::link {

struct VirtioNetHeader;

struct TapOptions {
  std::string name{};                // adopt(): empty, or the name that the descriptor must have
  std::uint16_t mtu = 1500;          // of IP datagrams
  std::string pcap{};                // capture all frames into this file; empty: none
  std::uint64_t pcap_max_bytes = 0;  // the capture stops there; 0: no limit
  // Frames come from this socket, of which it becomes the owner, each with its virtio-net header as one message:
  // somebody else reads the device, and gives us what is ours. -1: from the device.
  int receive_from = -1;
};

struct TapCounters {
  std::uint64_t frames_in = 0, bytes_in = 0;    // bytes without the virtio-net header
  std::uint64_t frames_out = 0, bytes_out = 0;  // frames as handed over: a super-segment counts once
  std::uint64_t dropped_in = 0;                 // too long, or of a kind that was not asked for
  std::uint64_t dropped_busy = 0;               // the device had no room (EAGAIN, ENOBUFS, ENOMEM)
  std::uint64_t dropped_refused = 0;  // the device did not take the frame: it is down, or the frame is malformed
};

class Tap final : public wire::FrameSink {
 public:
  // No frame is longer: 64 KiB of IP, Ethernet, a VLAN tag.
  static constexpr std::size_t kMaxFrame = 65535 + 14 + 4;
  static constexpr std::size_t kMaxHead = 256;

  // Attaches to the device, creating it where it does not exist, sets the MTU, brings it up.
  // kUsage: the name. kBusy: in use. kUnavailable: not permitted, not a TAP device. The message says what to do.
  static Result<std::unique_ptr<Tap>> open(const TapOptions& options);
  // The same for an attached device's descriptor that was inherited, of which it becomes the owner (also when it
  // fails).
  static Result<std::unique_ptr<Tap>> adopt(int fd, const TapOptions& options);
  ~Tap() override;
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  // The device stays when the last descriptor is closed; or goes with it, as one does that open() has created.
  Result<void> make_persistent();
  Result<void> make_transient();
  bool is_persistent() const;

  // The next frame as the device gives it, for one who passes it on to another process (receive_from); and what it
  // says. In one piece, valid until the next call. Do not mix with receive().
  struct WholeFrame {
    Bytes message;        // virtio-net header and all
    wire::RxFrame frame;  // all of it in `head`
  };
  std::optional<WholeFrame> receive_whole();

  // The next frame, where one waits. Its first head_size() bytes land in `head`, the rest at the start of `body` if
  // that has room for any frame (kMaxFrame bytes), otherwise in a buffer of the link's own. Valid until the next call.
  std::optional<wire::RxFrame> receive(MutableBytes body);
  // Where frames are split, 14..kMaxHead: best the length of Ethernet, IP and TCP headers together, which is 54 without
  // TCP options and 66 with timestamps. A shorter frame lies in `head` as a whole.
  void set_head_size(std::size_t size);
  std::size_t head_size() const { return head_size_; }

  // At once; a frame that the device does not take is dropped and counted. The caller has checked nothing: what
  // `frame` says about checksums and sizes must lie within it, or the frame is refused.
  void transmit(const wire::TxFrame& frame) override;

  // False once the device was removed: the descriptor is of no use then.
  bool is_attached() const;
  // The device is gone or broken: receive() finds nothing any more, and poll() on fd() returns at once, forever.
  const std::optional<Error>& failure() const { return failure_; }

  int fd() const { return source_ >= 0 ? source_ : fd_; }  // readable when a frame waits
  const std::string& name() const { return name_; }
  const TapCounters& counters() const { return counters_; }
  Capture* capture() { return capture_ ? &*capture_ : nullptr; }

 private:
  explicit Tap(int fd);
  Result<void> attach(const std::string& name);
  Result<void> identify(const std::string& expected_name);
  Result<void> set_up(const TapOptions& options);
  std::optional<std::size_t> read(VirtioNetHeader& header, MutableBytes head, MutableBytes body);

  int fd_;
  int source_ = -1;  // where frames come from; -1: fd_
  std::string name_;
  std::size_t head_size_ = 66;
  std::array<std::byte, kMaxHead> head_{};
  std::unique_ptr<std::byte[]> own_body_;
  TapCounters counters_;
  std::optional<Error> failure_;
  std::optional<Capture> capture_;
};

}  // namespace holdfast::link
