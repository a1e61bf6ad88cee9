#include "log/reader.h"

#include <fmt/core.h>

#include <algorithm>

#include "log/log_view.h"
#include "log/scrub.h"
#include "log/stream_read.h"
#include "log/trim_plan.h"

namespace holdfast::log {
namespace {

class LogReader final : public Reader {
 public:
  explicit LogReader(std::unique_ptr<LogView> view) : view_(std::move(view)) {}

  Result<bool> refresh() override { return view_->refresh(); }
  const LogInfo& info() const override { return view_->info(); }

  Result<std::vector<StreamInfo>> list() override {
    std::vector<StreamInfo> all;
    for (const auto& [id, entry] : view_->streams().streams()) {
      auto info = describe(entry);
      if (!info) return std::unexpected(info.error());
      all.push_back(std::move(*info));
    }
    return all;
  }

  Result<StreamInfo> show(StreamId stream) override {
    const auto* entry = view_->streams().find(stream);
    if (entry == nullptr) return no_such(stream);
    return describe(*entry);
  }

  Result<void> read(StreamId stream, Direction direction, StreamOffset from, std::uint64_t length,
                    const Sink& sink) override {
    const auto* entry = view_->streams().find(stream);
    if (entry == nullptr) return no_such(stream);
    const StreamInfo info = to_info(entry->total);
    const StreamRange& range = direction == Direction::kIn ? info.in : info.out;
    if (length == 0) return {};
    if (from < range.begin && trimmed(range))
      return was_trimmed(stream, from, std::min(range.begin, from + length), range);
    if (from < range.begin || from >= range.end || length > range.end - from) {
      return fail(Error::Kind::kUsage,
                  fmt::format("stream {}: bytes [{}, {}) were asked for, the log has [{}, {})", stream.value,
                              from.value, from.value + length, range.begin.value, range.end.value));
    }
    StreamOffset next = from;
    const Sink counting = [&](StreamOffset at, Bytes piece) {
      next = at + piece.size();
      return sink(at, piece);
    };
    // The node may release segments, and with them the entry, while this reads.
    const std::vector<SegmentNumber> segments = entry->segments;
    const auto done = StreamRead(*view_, stream, direction, from.value, length, counting).run(segments);
    if (done) return done;
    const SegmentNumber kept = view_->info().first_kept;
    if (const auto looked = view_->refresh(); !looked || view_->info().first_kept == kept) return done;
    const auto* left = view_->streams().find(stream);
    if (left == nullptr) return no_such(stream);
    const StreamInfo now = to_info(left->total);
    const StreamRange& still = direction == Direction::kIn ? now.in : now.out;
    if (next >= still.begin) return done;
    return was_trimmed(stream, next, std::min(still.begin, from + length), still);
  }

  Result<TrimPlan> plan_trim(const TrimWish& wish) override { return log::plan_trim(*view_, wish); }
  Result<void> records(Lsn from, const RecordSink& sink) override;

  Result<std::vector<Finding>> scrub(const std::function<void(std::uint64_t, std::uint64_t)>& progress) override {
    return scrub_log(*view_, progress);
  }

 private:
  bool trimmed(const StreamRange& range) const {
    return view_->info().first_kept != SegmentNumber{} && range.begin < range.end;
  }
  static std::unexpected<Error> was_trimmed(StreamId stream, StreamOffset from, StreamOffset end,
                                            const StreamRange& kept) {
    return fail(Error::Kind::kUsage, fmt::format("stream {}: bytes [{}, {}) were trimmed: the first byte kept is {}",
                                                 stream.value, from.value, end.value, kept.begin.value));
  }
  std::unexpected<Error> no_such(StreamId stream) const {
    const auto& damage = view_->info().damage;
    const LogInfo& info = view_->info();
    if (damage.empty() && info.first_kept != SegmentNumber{} && stream.value < info.next_stream) {
      return fail(Error::Kind::kUsage, fmt::format("stream {}: all of it was trimmed", stream.value));
    }
    if (damage.empty()) return fail(Error::Kind::kUsage, fmt::format("the log has no stream {}", stream.value));
    return fail(Error::Kind::kCorrupt, fmt::format("no stream {} can be read: {}", stream.value, damage.front()));
  }
  Result<StreamInfo> describe(const StreamTable::Entry& entry);
  Result<std::vector<std::byte>> read_record(SegmentNumber segment, std::uint32_t position, StreamId stream);

  std::unique_ptr<LogView> view_;
};

Result<StreamInfo> LogReader::describe(const StreamTable::Entry& entry) {
  StreamInfo info = to_info(entry.total);
  if (entry.connection_position == 0) return info;
  auto payload = read_record(entry.connection_segment, entry.connection_position, info.id);
  if (!payload) return std::unexpected(payload.error());
  info.connection = std::move(*payload);
  return info;
}

// The position came from an index that is checked as a whole; the record is checked by its own checksum.
Result<std::vector<std::byte>> LogReader::read_record(SegmentNumber segment, std::uint32_t position, StreamId stream) {
  std::string problems;
  for (Source* source : view_->chain().sources()) {
    const auto head = source->view(segment, position, kRecordHeaderSize, false);
    const auto header = head ? decode_record_header(head->data()) : std::nullopt;
    if (header && header->stream == stream && header->type == RecordType::kConnection) {
      const auto payload = source->view(segment, position + kRecordHeaderSize, header->length, false);
      if (payload && payload_matches(*header, *payload))
        return std::vector<std::byte>(payload->begin(), payload->end());
    }
    problems += fmt::format("{}{}", problems.empty() ? "" : ", ", source->name());
  }
  return fail(Error::Kind::kCorrupt,
              fmt::format("stream {}: its connection record in segment {} at {} is damaged at {}", stream.value,
                          segment.value, position, problems));
}

Result<void> LogReader::records(Lsn from, const RecordSink& sink) {
  const auto& segments = view_->segments();
  if (segments.empty() || from > view_->durable_end()) return {};
  auto start = std::ranges::upper_bound(segments, from, {}, &ChainSegment::first);
  if (start != segments.begin()) --start;
  ChainWalk walk(view_->chain(), {start->number, 0}, ChainWalk::Look::kAny);
  while (!walk.last() || walk.last()->lsn < view_->durable_end()) {
    const auto step = walk.next();
    if (!step) return std::unexpected(step.error());
    if (!*step) break;
    const BatchHeader& header = (*step)->header;
    if (header.lsn > view_->durable_end()) return {};
    if (header.lsn < from) continue;
    RecordWalk records(body_of(header, (*step)->bytes));
    while (const auto record = records.next()) {
      const auto position = header.at.offset + static_cast<std::uint32_t>(kBatchHeaderSize) + record->at;
      const Extent where = extent_of(record->header, header.at.segment, position);
      if (!sink(record->header, record->payload, where, header.lsn)) return {};
    }
  }
  if (walk.last() && walk.last()->lsn >= view_->durable_end()) return {};
  return fail(Error::Kind::kCorrupt, fmt::format("segment {} offset {}: a stored batch cannot be read at any location",
                                                 walk.position().segment.value, walk.position().offset));
}

}  // namespace

Result<std::unique_ptr<Reader>> Reader::open(const std::vector<location::Location*>& locations) {
  if (locations.empty()) return fail(Error::Kind::kUsage, "no location given");
  auto view = LogView::open(locations);
  if (!view) return std::unexpected(view.error());
  return std::make_unique<LogReader>(std::move(*view));
}

}  // namespace holdfast::log
