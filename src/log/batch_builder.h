// Fills one batch in place: records are laid out in the buffer that will be written, and payload that was received into
// the free space is not copied.
#pragma once

#include "base/units.h"
#include "log/batch_codec.h"

namespace holdfast::log {

class BatchBuilder {
 public:
  // Largest payload that merging makes, and largest piece that is worth moving for it.
  static constexpr std::size_t kMergeLimit = 64U << 10;
  static constexpr std::size_t kMovePiece = 4096;

  // `buffer` is at least `limit` bytes; the batch with its padding will not exceed `limit` (a multiple of kBlock).
  void begin(std::byte* buffer, std::size_t limit);
  bool active() const { return buffer_ != nullptr; }

  std::uint32_t record_count() const { return count_; }
  bool empty() const { return count_ == 0; }
  std::uint32_t used() const { return static_cast<std::uint32_t>(used_); }  // bytes, header included
  std::size_t room() const { return limit_ - used_; }

  // Where a payload may be placed so that append() need not copy it. Has no length: the caller knows the room.
  std::byte* next_payload() const { return buffer_ + used_ + kRecordHeaderSize; }

  struct Appended {
    RecordHeader header;         // of the whole record, checksum filled in
    std::uint32_t position = 0;  // of the record's header, from the batch's begin
    bool merged = false;         // it became part of the record before
  };
  // There must be room: room() >= record_size(payload + commit prefix).
  Appended append(RecordHeader header, Bytes payload, std::uint64_t consumed);

  // Pads with zeros and computes the tag. `header` gets the body's fields; the batch is no longer active.
  void finish(const LogKey& key, BatchHeader& header);

 private:
  bool can_merge(const RecordHeader& header, Bytes payload) const;
  Appended merge(const RecordHeader& header, Bytes payload);

  std::byte* buffer_ = nullptr;
  std::size_t limit_ = 0;
  std::size_t used_ = 0;
  std::uint32_t count_ = 0;
  RecordHeader last_;
  std::size_t last_at_ = 0;
};

}  // namespace holdfast::log
