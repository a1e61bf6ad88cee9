#include "sim/stream_check.h"

#include <algorithm>
#include <map>
#include <optional>

#include "location/memory.h"
#include "log/reader.h"

namespace holdfast::sim {

namespace {

const Flow* flow_of(Oracle& oracle, const DurableStream& stream) {
  // One that was closed before anything of it left may have had the sequence number of the next.
  if (oracle.model().find(stream.tuple, stream.iss) != &stream) return nullptr;
  for (const Flow& flow : oracle.flows()) {
    if (flow.tuple == stream.tuple && flow.iss == stream.iss) return &flow;
  }
  return nullptr;
}

void check_direction(Context& context, log::Reader& reader, StreamId id, log::Direction direction, std::uint64_t begin,
                     std::uint64_t length, const StreamPlan* plan) {
  if (length <= begin) return;
  const char* name = direction == log::Direction::kIn ? "inbound" : "outbound";
  std::uint64_t next = begin;
  const auto result =
      reader.read(id, direction, StreamOffset{begin}, length - begin, [&](StreamOffset at, Bytes piece) {
        if (at.value != next)
          context.fail("stream {}: {} bytes {} read where {} were due", id.value, name, at.value, next);
        if (plan != nullptr && plan->content.matching(at.value, piece) != piece.size()) {
          context.fail("stream {}: {} byte {} is read back wrong", id.value, name,
                       at.value + plan->content.matching(at.value, piece));
        }
        next = at.value + piece.size();
        return !context.verdict.failed();
      });
  if (!result) return context.fail("stream {}: {} bytes cannot be read: {}", id.value, name, result.error().message);
  if (next < length) context.fail("stream {}: {} of {} {} bytes were read", id.value, next, length, name);
}

// What may have been released is the oldest, and what must be there all of the newest segments. Where a direction's
// bytes must begin at the latest; nullopt: none need be there.
std::optional<std::uint64_t> due_from(const std::map<std::uint64_t, std::uint64_t>& parts, std::uint64_t first_due) {
  const auto found = parts.lower_bound(first_due);
  if (found == parts.end()) return std::nullopt;
  return found->second;
}

void check_stream(Context& context, Oracle& oracle, log::Reader& reader, StreamId id, const DurableStream& stream,
                  Tail tail, std::uint64_t first_due) {
  const Flow* flow = flow_of(oracle, stream);
  const auto in_due = due_from(stream.in_parts, first_due), out_due = due_from(stream.out_parts, first_due);
  const auto info = reader.show(id);
  const bool may_be_gone = tail == Tail::kMayBeRotten || (first_due > 0 && !in_due && !out_due);
  if (!info && may_be_gone && info.error().kind == Error::Kind::kUsage) return;  // opened in that batch; or released
  if (!info) return context.fail("stream {} cannot be shown: {}", id.value, info.error().message);
  // What was acknowledged is the least; what the model holds durable is as good as acknowledged.
  std::uint64_t in = std::max(stream.in_end, flow != nullptr && flow->acked_as == stream.iss ? flow->acked : 0);
  std::uint64_t out = stream.out_end;
  if (tail == Tail::kMayBeRotten) {
    in = std::min(in, info->in.end.value);
    out = std::min(out, info->out.end.value);
  }
  const StreamPlan* plan = flow != nullptr ? flow->plan : nullptr;
  const auto check = [&](const log::StreamRange& range, std::optional<std::uint64_t> due, std::uint64_t end,
                         log::Direction direction, const char* name) {
    if (first_due > 0 && !due && range.begin == range.end) return;
    if (range.begin.value > (first_due > 0 ? due.value_or(end) : 0) || range.end.value < end) {
      return context.fail("stream {} holds {} bytes {}..{}, durable are {}..{}", id.value, name, range.begin.value,
                          range.end.value, due.value_or(0), end);
    }
    check_direction(context, reader, id, direction, range.begin.value, end, plan);
  };
  check(info->in, in_due, in, log::Direction::kIn, "inbound");
  check(info->out, out_due, out, log::Direction::kOut, "outbound");
  const bool in_end = stream.in_fin && stream.in_fin_segment >= first_due;
  const bool out_end = stream.out_fin && stream.out_fin_segment >= first_due;
  if (tail == Tail::kWhole && ((in_end && !info->in.fin) || (out_end && !info->out.fin))) {
    return context.fail("stream {}: a stored end is not there", id.value);
  }
}

}  // namespace

void check_streams(Context& context, Oracle& oracle, const std::vector<std::unique_ptr<Disk>>& disks, Tail tail,
                   std::uint64_t retain_bytes) {
  if (oracle.model().streams().empty() || context.verdict.failed()) return;
  // As many disks must answer as a start of the node would need.
  const auto answers = [](const auto& disk) { return !disk->memory().faults.failing; };
  if (static_cast<unsigned>(std::ranges::count_if(disks, answers)) < oracle.model().needed()) return;
  std::vector<std::unique_ptr<location::Memory>> handles;
  std::vector<location::Location*> locations;
  for (const auto& disk : disks) {
    handles.push_back(std::make_unique<location::Memory>(disk->share()));
    locations.push_back(handles.back().get());
  }
  check_streams(context, oracle, locations, tail, retain_bytes);
}

void check_streams(Context& context, Oracle& oracle, const std::vector<location::Location*>& locations, Tail tail,
                   std::uint64_t retain_bytes) {
  if (oracle.model().streams().empty() || context.verdict.failed()) return;
  auto reader = log::Reader::open(locations);
  if (!reader) return context.fail("the log cannot be read: {}", reader.error().message);
  // One segment may be begun of which nothing is durable; one file may be what is left of an owner that lost.
  constexpr std::uint64_t kSegment = 1U << 20, kSlack = 2;
  const std::uint64_t kept = retain_bytes / kSegment - std::min(retain_bytes / kSegment, kSlack);
  const std::uint64_t first_due =
      retain_bytes == 0 ? 0 : oracle.model().newest_segments(std::max<std::uint64_t>(kept, 1));
  for (const auto& [id, stream] : oracle.model().streams()) {
    check_stream(context, oracle, **reader, id, stream, tail, first_due);
  }
}

}  // namespace holdfast::sim
