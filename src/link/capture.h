// Frames on their way through a link, copied into a capture file as they would look on a wire: with the checksums that
// an offload leaves out. Super-segments are written whole.
//
// Threads: one.
#pragma once

#include <memory>

#include "link/pcapng.h"
#include "wire/frame.h"

namespace holdfast::link {

// The calendar's time now.
RealTime real_time();

class Capture {
 public:
  using Clock = RealTime (*)();

  Capture(PcapngWriter writer, Clock clock);

  void received(const wire::RxFrame& frame);
  void sent(const wire::TxFrame& frame);

  PcapngWriter& writer() { return writer_; }

 private:
  static constexpr std::size_t kMaxFrame = 66U << 10;
  MutableBytes gather(std::initializer_list<Bytes> pieces);

  PcapngWriter writer_;
  Clock clock_;
  std::unique_ptr<std::byte[]> copy_;
};

// Captures what passes through to another sink.
class CapturingSink final : public wire::FrameSink {
 public:
  // Both outlive this.
  CapturingSink(wire::FrameSink& next, Capture& capture) : next_(next), capture_(capture) {}
  void transmit(const wire::TxFrame& frame) override {
    capture_.sent(frame);
    next_.transmit(frame);
  }

 private:
  wire::FrameSink& next_;
  Capture& capture_;
};

}  // namespace holdfast::link
