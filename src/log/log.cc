#include "log/log.h"

#include <fmt/core.h>

#include "log/recovery.h"

namespace holdfast::log {
namespace {

Result<void> check(const Options& options) {
  const auto bad = [](const std::string& what) { return fail(Error::Kind::kUsage, what); };
  if (options.segment_size < kMinSegment || options.segment_size > kMaxSegment ||
      options.segment_size % kMinSegment != 0) {
    return bad(fmt::format("segment size {}: a multiple of 1 MiB up to 1 GiB, please", options.segment_size));
  }
  if (options.batch_size < kBlock || options.batch_size > kMaxBatch - (1U << 20) || options.batch_size % kBlock != 0) {
    return bad(fmt::format("batch size {}: a multiple of 4 KiB up to 4 MiB, please", options.batch_size));
  }
  if (options.max_in_flight == 0 || options.max_in_flight > 32 || options.most_in_flight > 32)
    return bad("batches in flight: 1 to 32, please");
  if (options.prepared_segments < 2 || options.prepared_segments > 1024) {
    return bad("prepared segments: 2 to 1024, please");
  }
  return {};
}

}  // namespace

std::string with_name(const std::string& name, const std::string& reason) {
  const bool named = reason.starts_with(name) && reason.size() > name.size() &&
                     (reason[name.size()] == ':' || reason[name.size()] == '/');
  return named ? reason : fmt::format("{}: {}", name, reason);
}

Result<std::unique_ptr<Log>> Log::open(std::vector<std::unique_ptr<location::Location>> locations,
                                       const Options& options, std::span<const std::byte, 96> random,
                                       Duration lock_bound, RecordVisitor& visitor) {
  if (auto sane = check(options); !sane) return std::unexpected(sane.error());
  const Entropy entropy(random);
  Recovery recovery(options, entropy, visitor);
  auto start = recovery.run(std::move(locations), lock_bound);
  if (!start) return std::unexpected(start.error());
  return std::make_unique<WriteAheadLog>(std::move(*start), options);
}

}  // namespace holdfast::log
