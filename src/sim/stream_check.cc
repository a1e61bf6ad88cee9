#include "sim/stream_check.h"

#include <algorithm>

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

void check_direction(Context& context, log::Reader& reader, StreamId id, log::Direction direction, std::uint64_t length,
                     const StreamPlan* plan) {
  if (length == 0) return;
  const char* name = direction == log::Direction::kIn ? "inbound" : "outbound";
  std::uint64_t next = 0;
  const auto result = reader.read(id, direction, StreamOffset{0}, length, [&](StreamOffset at, Bytes piece) {
    if (at.value != next) context.fail("stream {}: {} bytes {} read where {} were due", id.value, name, at.value, next);
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

void check_stream(Context& context, Oracle& oracle, log::Reader& reader, StreamId id, const DurableStream& stream,
                  Tail tail) {
  const Flow* flow = flow_of(oracle, stream);
  const auto info = reader.show(id);
  if (!info && tail == Tail::kMayBeRotten && info.error().kind == Error::Kind::kUsage) return;  // opened in that batch
  if (!info) return context.fail("stream {} cannot be shown: {}", id.value, info.error().message);
  // What was acknowledged is the least; what the model holds durable is as good as acknowledged.
  std::uint64_t in = std::max(stream.in_end, flow != nullptr ? flow->acked : 0);
  std::uint64_t out = stream.out_end;
  if (tail == Tail::kMayBeRotten) {
    in = std::min(in, info->in.end.value);
    out = std::min(out, info->out.end.value);
  }
  if (info->in.begin.value != 0 || info->in.end.value < in) {
    return context.fail("stream {} holds inbound bytes {}..{}, durable are {}", id.value, info->in.begin.value,
                        info->in.end.value, in);
  }
  if (info->out.end.value < out) {
    return context.fail("stream {} holds outbound bytes up to {}, durable are {}", id.value, info->out.end.value, out);
  }
  if (tail == Tail::kWhole && ((stream.in_fin && !info->in.fin) || (stream.out_fin && !info->out.fin))) {
    return context.fail("stream {}: a stored end is not there", id.value);
  }
  const StreamPlan* plan = flow != nullptr ? flow->plan : nullptr;
  check_direction(context, reader, id, log::Direction::kIn, in, plan);
  check_direction(context, reader, id, log::Direction::kOut, out, plan);
}

}  // namespace

void check_streams(Context& context, Oracle& oracle, const std::vector<std::unique_ptr<Disk>>& disks, Tail tail) {
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
  auto reader = log::Reader::open(locations);
  if (!reader) return context.fail("the log cannot be read: {}", reader.error().message);
  for (const auto& [id, stream] : oracle.model().streams()) check_stream(context, oracle, **reader, id, stream, tail);
}

}  // namespace holdfast::sim
