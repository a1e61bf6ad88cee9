#include "location/memory_disk.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "location/memory.h"

namespace holdfast::location {

bool Tear::stores(std::uint32_t sector) const {
  if (scatter == 0) return (sector >= first && sector < last) != inverted;
  std::uint64_t x = scatter + 0x9e3779b97f4a7c15ULL * (std::uint64_t{sector} + 1);  // splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return ((x ^ (x >> 31)) & 1U) != 0;
}

// ---- Content ----

void MemoryDisk::Segment::read(std::uint64_t offset, MutableBytes into) const {
  while (!into.empty()) {
    const std::size_t within = offset % kBlock;
    const std::size_t count = std::min(into.size(), kBlock - within);
    const auto& page = pages[offset / kBlock];
    if (page) {
      std::memcpy(into.data(), page->data() + within, count);
    } else {
      std::memset(into.data(), 0, count);
    }
    into = into.subspan(count);
    offset += count;
  }
}

void MemoryDisk::Segment::write(std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const std::size_t within = offset % kBlock;
    const std::size_t count = std::min(bytes.size(), kBlock - within);
    auto& page = pages[offset / kBlock];
    if (!page) page = std::make_unique<Page>();
    std::memcpy(page->data() + within, bytes.data(), count);
    bytes = bytes.subspan(count);
    offset += count;
  }
}

MemoryDisk::Segment* MemoryDisk::find(SegmentNumber segment) {
  const auto found = segments_.find(segment.value);
  return found == segments_.end() ? nullptr : &found->second;
}

const MemoryDisk::Segment* MemoryDisk::find(SegmentNumber segment) const {
  const auto found = segments_.find(segment.value);
  return found == segments_.end() ? nullptr : &found->second;
}

std::uint64_t MemoryDisk::bytes_in_use() const {
  std::uint64_t sum = 0;
  for (const auto& [number, segment] : segments_) sum += segment.size;
  return sum;
}

Error MemoryDisk::io_error(const char* what, SegmentNumber segment) const {
  return Error{Error::Kind::kIo, fmt::format("{}: {} segment {}: I/O error", name_, what, segment.value)};
}

Error MemoryDisk::no_space(SegmentNumber segment, std::uint64_t size) const {
  return Error{Error::Kind::kFull, fmt::format("{}: no space for segment {} ({} bytes)", name_, segment.value, size)};
}

std::vector<SegmentInfo> MemoryDisk::segments() const {
  std::vector<SegmentInfo> infos;
  infos.reserve(segments_.size());
  for (const auto& [number, segment] : segments_) infos.push_back({SegmentNumber{number}, segment.size});
  return infos;
}

Result<void> MemoryDisk::read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) const {
  const Segment* found = find(segment);
  if (found == nullptr) {
    return fail(Error::Kind::kIo, fmt::format("{}: cannot read segment {}: it does not exist", name_, segment.value));
  }
  if (offset > found->size || into.size() > found->size - offset) {
    return fail(Error::Kind::kIo, fmt::format("{}: segment {} ends at byte {}: cannot read {} bytes at {}", name_,
                                              segment.value, found->size, into.size(), offset));
  }
  found->read(offset, into);
  return {};
}

// ---- Operations ----

std::optional<Error> MemoryDisk::apply(const PendingOperation& operation) {
  switch (operation.kind) {
    case PendingOperation::Kind::kWrite:
      return apply_write(operation);
    case PendingOperation::Kind::kPrepare:
      return apply_prepare(operation);
    case PendingOperation::Kind::kRecycle:
      return apply_recycle(operation);
    case PendingOperation::Kind::kRemove:
      return apply_remove(operation);
  }
  return std::nullopt;
}

std::optional<Error> MemoryDisk::apply_write(const PendingOperation& operation) {
  Segment* segment = find(operation.segment);
  if (segment == nullptr || operation.offset > segment->size ||
      operation.bytes.size() > segment->size - operation.offset) {
    return io_error("cannot write beyond", operation.segment);
  }
  segment->write(operation.offset, operation.bytes);
  const std::uint64_t end = operation.offset + operation.size;
  std::erase_if(unreadable_, [&](const Range& range) {
    return range.segment == operation.segment && range.begin >= operation.offset && range.end <= end;
  });
  return std::nullopt;
}

std::optional<Error> MemoryDisk::apply_prepare(const PendingOperation& operation) {
  if (find(operation.segment) != nullptr) return io_error("cannot prepare existing", operation.segment);
  const std::uint64_t used = bytes_in_use();
  if (faults.full || used > faults.capacity || operation.size > faults.capacity - used) {
    return no_space(operation.segment, operation.size);
  }
  Segment& segment = segments_[operation.segment.value];
  segment.size = operation.size;
  segment.pages.resize(operation.size / kBlock);
  return std::nullopt;
}

std::optional<Error> MemoryDisk::apply_recycle(const PendingOperation& operation) {
  if (find(operation.segment) == nullptr) return io_error("cannot recycle missing", operation.segment);
  if (find(operation.to) != nullptr) return io_error("cannot recycle into existing", operation.to);
  if (faults.full && faults.recycling_takes_room) return no_space(operation.to, find(operation.segment)->size);
  auto node = segments_.extract(operation.segment.value);
  node.key() = operation.to.value;
  segments_.insert(std::move(node));
  for (Range& range : unreadable_) {
    if (range.segment == operation.segment) range.segment = operation.to;
  }
  return std::nullopt;
}

std::optional<Error> MemoryDisk::apply_remove(const PendingOperation& operation) {
  if (segments_.erase(operation.segment.value) == 0) return io_error("cannot remove missing", operation.segment);
  std::erase_if(unreadable_, [&](const Range& range) { return range.segment == operation.segment; });
  return std::nullopt;
}

void MemoryDisk::apply_torn(const PendingOperation& operation, const Tear& tear) {
  if (operation.kind != PendingOperation::Kind::kWrite) return;
  Segment* segment = find(operation.segment);
  if (segment == nullptr || operation.offset + operation.size > segment->size) return;
  const Bytes bytes = operation.bytes;
  for (std::uint32_t sector = 0; sector < bytes.size() / kSector; ++sector) {
    if (!tear.stores(sector)) continue;
    segment->write(operation.offset + sector * kSector, bytes.subspan(sector * kSector, kSector));
  }
}

void MemoryDisk::misdirect(const PendingOperation& operation, const Ending& ending) {
  if (operation.kind != PendingOperation::Kind::kWrite) return;
  Segment* segment = find(ending.segment);
  if (segment == nullptr || ending.offset > segment->size) return;
  segment->write(ending.offset, Bytes(operation.bytes).first(std::min(operation.size, segment->size - ending.offset)));
}

std::optional<Error> MemoryDisk::end(const PendingOperation& operation, const Ending& ending) {
  const auto error = [&] { return io_error("cannot write", operation.segment); };
  if (faults.failing) return error();
  switch (ending.kind) {
    case Ending::Kind::kDone:
      return apply(operation);
    case Ending::Kind::kError:
      return error();
    case Ending::Kind::kErrorTorn:
      apply_torn(operation, ending.tear);
      return error();
    case Ending::Kind::kErrorStored:
      apply(operation);
      return error();
    case Ending::Kind::kDropped:
      return std::nullopt;
    case Ending::Kind::kMisdirected:
      misdirect(operation, ending);
      return std::nullopt;
  }
  return std::nullopt;
}

void MemoryDisk::complete(std::size_t n, const Ending& ending) {
  HF_ASSERT(n < pending_.size());
  const PendingOperation operation = std::move(pending_[n]);
  pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(n));
  HF_ASSERT(operation.owner != nullptr);
  // A device may read the buffer at any moment until it is done: whoever changes it meanwhile stores a mixture.
  HF_ASSERT(operation.source == nullptr ||
            std::memcmp(operation.source, operation.bytes.data(), operation.bytes.size()) == 0);
  operation.owner->finish(operation.token, end(operation, ending));
}

void MemoryDisk::complete_all() {
  while (!pending_.empty()) complete(0);
}

void MemoryDisk::land_late(std::size_t n, bool stored) {
  HF_ASSERT(n < late_.size());
  const PendingOperation operation = std::move(late_[n]);
  late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(n));
  if (stored && !faults.failing) apply(operation);  // nobody is left to take the error
}

// ---- Deaths ----

void MemoryDisk::settle(std::vector<PendingOperation> operations, const Decide& decide, bool late_allowed) {
  for (PendingOperation& operation : operations) {
    operation.owner = nullptr;
    operation.source = nullptr;
    const Fate fate = decide(operation);
    if (faults.failing && fate.kind != Fate::Kind::kLate) continue;
    switch (fate.kind) {
      case Fate::Kind::kNotDone:
        break;
      case Fate::Kind::kDone:
        apply(operation);
        break;
      case Fate::Kind::kTorn:
        apply_torn(operation, fate.tear);
        break;
      case Fate::Kind::kLate:
        if (late_allowed) late_.push_back(std::move(operation));
        break;
    }
  }
}

void MemoryDisk::kill() {
  if (holder_ != nullptr) holder_->dead_ = true;
  holder_ = nullptr;
  for (const PendingOperation& operation : pending_) operation.owner->dead_ = true;
}

void MemoryDisk::crash(const Decide& decide) {
  kill();
  settle(std::exchange(pending_, {}), decide, true);
}

void MemoryDisk::power_loss(const Decide& decide) {
  kill();
  settle(std::exchange(late_, {}), decide, false);
  settle(std::exchange(pending_, {}), decide, false);
}

void MemoryDisk::abandon(Memory& process) {
  if (holder_ == &process) holder_ = nullptr;
  for (std::size_t i = 0; i < pending_.size();) {
    if (pending_[i].owner != &process) {
      ++i;
      continue;
    }
    pending_[i].owner = nullptr;
    pending_[i].source = nullptr;
    late_.push_back(std::move(pending_[i]));
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

// ---- Rot ----

void MemoryDisk::flip(SegmentNumber segment, std::uint64_t offset, std::byte mask) {
  Segment* found = find(segment);
  if (found == nullptr || offset >= found->size) return;
  std::byte value{};
  found->read(offset, MutableBytes(&value, 1));
  value ^= mask;
  found->write(offset, Bytes(&value, 1));
}

void MemoryDisk::zero(SegmentNumber segment, std::uint64_t offset, std::uint64_t length) {
  const std::vector<std::byte> zeros(length);
  overwrite(segment, offset, zeros);
}

void MemoryDisk::overwrite(SegmentNumber segment, std::uint64_t offset, Bytes bytes) {
  Segment* found = find(segment);
  if (found == nullptr || offset >= found->size) return;
  found->write(offset, bytes.first(std::min(bytes.size(), found->size - offset)));
}

void MemoryDisk::truncate(SegmentNumber segment, std::uint64_t size) {
  Segment* found = find(segment);
  if (found == nullptr || size >= found->size) return;
  found->size = size;
  found->pages.resize((size + kBlock - 1) / kBlock);
}

void MemoryDisk::flip_blob(const std::string& blob, std::size_t offset, std::byte mask) {
  const auto found = blobs_.find(blob);
  if (found == blobs_.end() || offset >= found->second.size()) return;
  found->second[offset] ^= mask;
}

void MemoryDisk::lose_everything() {
  segments_.clear();
  blobs_.clear();
  unreadable_.clear();
}

void MemoryDisk::make_unreadable(SegmentNumber segment, std::uint64_t offset, std::uint64_t length) {
  unreadable_.push_back({segment, offset, offset + length});
}

bool MemoryDisk::is_unreadable(SegmentNumber segment, std::uint64_t offset, std::uint64_t length) const {
  return std::ranges::any_of(unreadable_, [&](const Range& range) {
    return range.segment == segment && offset < range.end && offset + length > range.begin;
  });
}

}  // namespace holdfast::location
