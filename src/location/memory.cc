#include "location/memory.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/assert.h"
#include "base/mutant.h"

namespace holdfast::location {

Memory::Memory(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) { HF_ASSERT(disk_ != nullptr); }

Memory::~Memory() {
  if (dead_) return;
  disk_->abandon(*this);
}

Error Memory::dead_error() const {
  return Error{Error::Kind::kUnavailable, fmt::format("{}: this process is dead", name())};
}

Result<void> Memory::lock(Duration bound) {
  if (disk_->faults.dead_at_lock && disk_->faults.dead_at_lock()) dead_ = true;
  if (dead_) return std::unexpected(dead_error());
  const auto taken = [this] {
    if (disk_->holder_ != nullptr && disk_->holder_ != this) return true;
    // A lock on some other file says nothing about writes that a dead process still has on their way.
    if (HF_MUTANT(kLockAnotherFile)) return false;
    return !disk_->late_.empty();
  };
  Duration left = bound;
  while (taken() && left > Duration::zero()) {
    if (!disk_->faults.pass_time) {
      while (!disk_->late_.empty()) disk_->land_late(0);
      break;
    }
    const Duration passed = disk_->faults.pass_time(left);
    if (dead_) return std::unexpected(dead_error());
    if (passed <= Duration::zero()) break;
    left -= std::min(passed, left);
  }
  if (disk_->holder_ != nullptr && disk_->holder_ != this) {
    return fail(Error::Kind::kBusy, fmt::format("{}: in use by another process", name()));
  }
  if (taken()) {
    return fail(Error::Kind::kUnavailable, fmt::format("{}: writes of a dead process are on their way", name()));
  }
  disk_->holder_ = this;
  locked_ = true;
  return {};
}

Result<std::vector<SegmentInfo>> Memory::segments() {
  if (dead_) return std::unexpected(dead_error());
  if (disk_->faults.failing) return fail(Error::Kind::kIo, fmt::format("{}: cannot list: I/O error", name()));
  return disk_->segments();
}

Result<void> Memory::read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) {
  if (dead_) return std::unexpected(dead_error());
  disk_->bytes_read_ += into.size();
  if (disk_->faults.failing || disk_->faults.failing_reads || disk_->is_unreadable(segment, offset, into.size())) {
    return std::unexpected(disk_->io_error("cannot read", segment));
  }
  return disk_->read(segment, offset, into);
}

Result<std::optional<std::vector<std::byte>>> Memory::read_blob(const std::string& blob) {
  if (dead_) return std::unexpected(dead_error());
  if (disk_->faults.failing || disk_->faults.failing_reads) {
    return fail(Error::Kind::kIo, fmt::format("{}: cannot read blob {}: I/O error", name(), blob));
  }
  const auto found = disk_->blobs_.find(blob);
  if (found == disk_->blobs_.end()) return std::nullopt;
  return found->second;
}

Result<std::vector<std::string>> Memory::blobs() {
  if (dead_) return std::unexpected(dead_error());
  if (disk_->faults.failing) return fail(Error::Kind::kIo, fmt::format("{}: cannot list: I/O error", name()));
  std::vector<std::string> names;
  for (const auto& [blob, content] : disk_->blobs_) names.push_back(blob);
  return names;
}

Result<void> Memory::change_blob(const std::string& blob, const std::function<void()>& change) {
  if (dead_) return std::unexpected(dead_error());
  HF_ASSERT(locked_);
  using Step = MemoryFaults::Step;
  const Step step = disk_->faults.before_blob ? disk_->faults.before_blob(blob) : Step::kDo;
  if (dead_) return std::unexpected(dead_error());  // the hook crashed us
  if (disk_->faults.failing || step == Step::kFail) {
    return fail(Error::Kind::kIo, fmt::format("{}: cannot write blob {}: I/O error", name(), blob));
  }
  const auto die = [this] { disk_->crash([](const PendingOperation&) { return Fate{}; }); };
  if (step == Step::kDieBefore) {
    die();
    return std::unexpected(dead_error());
  }
  change();
  if (step == Step::kDieAfter) {
    die();
    return std::unexpected(dead_error());
  }
  return {};
}

Result<void> Memory::write_blob(const std::string& blob, Bytes content) {
  return change_blob(blob, [&] { disk_->blobs_[blob].assign(content.begin(), content.end()); });
}

Result<void> Memory::remove_blob(const std::string& blob) {
  return change_blob(blob, [&] { disk_->blobs_.erase(blob); });
}

void Memory::issue(PendingOperation operation) {
  ++in_flight_;
  if (dead_) return finish(operation.token, dead_error());
  HF_ASSERT(locked_);
  operation.id = ++disk_->last_id_;
  operation.owner = this;
  disk_->pending_.push_back(std::move(operation));
}

void Memory::write(Token token, SegmentNumber segment, std::uint64_t offset, Bytes bytes) {
  // What direct I/O demands of the real thing.
  HF_ASSERT(!bytes.empty() && bytes.size() % kBlock == 0 && offset % kBlock == 0);
  HF_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % kBlock == 0);
  PendingOperation operation;
  operation.kind = PendingOperation::Kind::kWrite;
  operation.token = token;
  operation.segment = segment;
  operation.offset = offset;
  operation.size = bytes.size();
  operation.source = bytes.data();
  operation.bytes.assign(bytes.begin(), bytes.end());
  issue(std::move(operation));
}

void Memory::prepare(Token token, SegmentNumber segment, std::uint64_t size) {
  HF_ASSERT(size > 0 && size % kBlock == 0);
  PendingOperation operation;
  operation.kind = PendingOperation::Kind::kPrepare;
  operation.token = token;
  operation.segment = segment;
  operation.size = size;
  issue(std::move(operation));
}

void Memory::recycle(Token token, SegmentNumber from, SegmentNumber to) {
  PendingOperation operation;
  operation.kind = PendingOperation::Kind::kRecycle;
  operation.token = token;
  operation.segment = from;
  operation.to = to;
  issue(std::move(operation));
}

void Memory::remove(Token token, SegmentNumber segment) {
  PendingOperation operation;
  operation.kind = PendingOperation::Kind::kRemove;
  operation.token = token;
  operation.segment = segment;
  issue(std::move(operation));
}

void Memory::replace_blob(Token token, const std::string& blob, Bytes content) {
  ++in_flight_;
  auto written = write_blob(blob, content);
  finish(token, written ? std::nullopt : std::optional(std::move(written).error()));
}

void Memory::finish(Token token, std::optional<Error> error) {
  finished_.push_back(Completion{token, std::move(error)});
}

std::size_t Memory::poll(std::span<Completion> out) {
  if (!dead_ && disk_->faults.automatic) disk_->complete_all();
  const std::size_t count = std::min(out.size(), finished_.size());
  const auto end = finished_.begin() + static_cast<std::ptrdiff_t>(count);
  std::move(finished_.begin(), end, out.begin());
  finished_.erase(finished_.begin(), end);
  in_flight_ -= count;
  return count;
}

void Memory::wait() {
  if (dead_ || !finished_.empty() || in_flight_ == 0) return;
  if (disk_->faults.pass_time) {
    disk_->faults.pass_time(Duration::max());
  } else {
    disk_->complete_all();
  }
}

}  // namespace holdfast::location
