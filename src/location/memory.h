// location::Location over a MemoryDisk (memory_disk.h): a process's handle on a disk in RAM, for the simulator and
// tests.
//
// A handle lives as long as its process: crash() and power_loss() of the disk leave it dead, and then every call fails
// with kUnavailable, so that code in the middle of a blocking sequence unwinds. Destroying a live handle is a process's
// exit: what it still has in flight becomes late.
//
// Threads: one.
#pragma once

#include <memory>

#include "location/memory_disk.h"

namespace holdfast::location {

class Memory final : public Location {
 public:
  explicit Memory(std::shared_ptr<MemoryDisk> disk);
  ~Memory() override;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  const std::string& name() const override { return disk_->name(); }

  // Waits while another handle has the lock or late operations of a dead process are on their way.
  Result<void> lock(Duration bound) override;
  bool has_owner() const override { return disk_->holder_ != nullptr; }
  Result<std::vector<SegmentInfo>> segments() override;
  Result<void> read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) override;
  Result<std::optional<std::vector<std::byte>>> read_blob(const std::string& blob) override;
  Result<std::vector<std::string>> blobs() override;
  Result<void> write_blob(const std::string& blob, Bytes content) override;
  Result<void> remove_blob(const std::string& blob) override;

  // The changing calls demand the lock.
  void write(Token token, SegmentNumber segment, std::uint64_t offset, Bytes bytes) override;
  void prepare(Token token, SegmentNumber segment, std::uint64_t size) override;
  void recycle(Token token, SegmentNumber from, SegmentNumber to) override;
  void remove(Token token, SegmentNumber segment) override;
  void replace_blob(Token token, const std::string& blob, Bytes content) override;

  std::size_t poll(std::span<Completion> out) override;
  std::size_t in_flight() const override { return in_flight_; }
  void wait() override;

  bool dead() const { return dead_; }

 private:
  friend class MemoryDisk;

  Error dead_error() const;
  void issue(PendingOperation operation);
  void finish(Token token, std::optional<Error> error);
  Result<void> change_blob(const std::string& blob, const std::function<void()>& change);

  std::shared_ptr<MemoryDisk> disk_;
  std::vector<Completion> finished_;
  std::size_t in_flight_ = 0;
  bool locked_ = false;
  bool dead_ = false;
};

}  // namespace holdfast::location
