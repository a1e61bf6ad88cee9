#include "log/source.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/assert.h"
#include "log/identity.h"

namespace holdfast::log {

Lsn Source::progress() const {
  const auto blob = location_->read_blob(kProgressBlob);
  if (!blob || !*blob) return Lsn{};
  const auto progress = decode_progress(**blob, name());
  return progress && progress->log_id == key_.id ? progress->lsn : Lsn{};
}

Result<void> Source::list_segments() {
  auto found = location_->segments();
  if (!found) return std::unexpected(found.error());
  segments_.clear();
  first_headers_.clear();
  drop_window();
  for (const location::SegmentInfo& segment : *found) {
    if (segment.number >= kSegmentNumberLimit) {
      return fail(Error::Kind::kCorrupt,
                  fmt::format("{}: a segment has the number {:#x}, which no log reaches: move that "
                              "file away",
                              name(), segment.number.value));
    }
    segments_[segment.number.value] = segment.size;
  }
  return {};
}

bool Source::has(SegmentNumber segment) const {
  const auto found = segments_.find(segment.value);
  return found != segments_.end() && found->second == key_.segment_size;
}

std::optional<Bytes> Source::view(SegmentNumber segment, std::uint64_t offset, std::size_t length, bool ahead) {
  if (!has(segment) || offset > key_.segment_size || length > key_.segment_size - offset) return std::nullopt;
  const bool inside = window_length_ > 0 && window_segment_ == segment && offset >= window_offset_ &&
                      offset + length <= window_offset_ + window_length_;
  if (!inside) {
    if (unanswered_ && ends_at_silence_) return std::nullopt;
    const std::uint64_t begin = offset / kBlock * kBlock;
    const std::uint64_t least = round_up(offset + length, kBlock) - begin;
    const std::uint64_t wanted =
        std::min(ahead ? std::max<std::uint64_t>(least, kReadAhead) : least, key_.segment_size - begin);
    if (window_.size() < wanted) window_.resize(wanted);
    window_length_ = 0;
    auto done = location_->read(segment, begin, MutableBytes(window_.data(), wanted));
    // A bad sector in what was read ahead must not hide the good bytes in front of it.
    std::uint64_t got = wanted;
    if (!done && wanted > least && done.error().kind != Error::Kind::kTimeout) {
      got = least;
      done = location_->read(segment, begin, MutableBytes(window_.data(), got));
    }
    if (!done) {
      last_problem_ = done.error().message;
      if (done.error().kind == Error::Kind::kTimeout) unanswered_ = last_problem_;
      return std::nullopt;
    }
    window_segment_ = segment;
    window_offset_ = begin;
    window_length_ = got;
  }
  return Bytes(window_.data() + (offset - window_offset_), length);
}

std::optional<BatchHeader> Source::header_at(BatchPosition at, bool ahead) {
  const auto block = view(at.segment, at.offset, kBlock, ahead);
  if (!block) return std::nullopt;
  return decode_batch_header(*block, key_, at);
}

std::optional<Source::Batch> Source::batch_at(BatchPosition at, PayloadCheck payloads, bool ahead) {
  const auto header = header_at(at, ahead);
  if (!header) return std::nullopt;
  const auto bytes = view(at.segment, at.offset, header->size(), ahead);
  if (!bytes || !check_body(*header, key_, *bytes, payloads)) return std::nullopt;
  return Batch{*header, *bytes};
}

bool Source::is_blank(BatchPosition at) {
  const auto block = view(at.segment, at.offset, kBlock, false);
  return block && std::ranges::all_of(*block, [](std::byte b) { return b == std::byte{}; });
}

const std::optional<BatchHeader>& Source::first_header(SegmentNumber segment) {
  const auto known = first_headers_.find(segment.value);
  if (known != first_headers_.end()) return known->second;
  return first_headers_[segment.value] = header_at({segment, 0}, false);
}

std::optional<std::string> Source::unreadable_at(BatchPosition at) {
  if (!has(at.segment) || at.offset + kBlock > key_.segment_size) return std::nullopt;
  const auto block = view(at.segment, at.offset, kBlock, false);
  if (!block) return last_problem_;
  const auto header = decode_batch_header(*block, key_, at);
  if (!header || view(at.segment, at.offset, header->size(), false)) return std::nullopt;
  return last_problem_;
}

}  // namespace holdfast::log
