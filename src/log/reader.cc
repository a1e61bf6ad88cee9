#include "log/reader.h"

#include <fmt/core.h>

#include <algorithm>

#include "log/log_view.h"
#include "log/scrub.h"
#include "log/stream_read.h"

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
    if (from < range.begin || from >= range.end || length > range.end - from) {
      return fail(Error::Kind::kUsage,
                  fmt::format("stream {}: bytes [{}, {}) were asked for, the log has [{}, {})", stream.value,
                              from.value, from.value + length, range.begin.value, range.end.value));
    }
    return StreamRead(*view_, stream, direction, from.value, length, sink).run(entry->segments);
  }

  Result<void> records(Lsn from, const RecordSink& sink) override;

  Result<std::vector<Finding>> scrub(const std::function<void(std::uint64_t, std::uint64_t)>& progress) override {
    return scrub_log(*view_, progress);
  }

 private:
  std::unexpected<Error> no_such(StreamId stream) const {
    const auto& damage = view_->info().damage;
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
