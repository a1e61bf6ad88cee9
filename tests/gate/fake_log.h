// A log whose batches become durable when the test says so.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "log/log.h"

namespace holdfast::gate {

class FakeLog : public log::Log {
 public:
  struct Appended {
    log::RecordHeader header;
    std::vector<std::byte> payload;
    std::uint64_t consumed;
    Lsn lsn;
  };

  unsigned locations_that_hold = 1;
  unsigned count() const override { return 40; }
  const log::Secrets& secrets() const override { return secrets_; }
  log::Epoch epoch() const override { return {1, 1}; }
  Lsn epoch_start() const override { return Lsn{1}; }
  MutableBytes receive_space() override { return {}; }
  Lsn append(log::RecordHeader header, Bytes payload, std::uint64_t consumed) override {
    if (payload.size() > log::kMaxPayload) throw std::logic_error("a payload that no log takes");
    if (no_room) return Lsn{0};
    header.length = static_cast<std::uint32_t>(payload.size());
    records.push_back({header, {payload.begin(), payload.end()}, consumed, open});
    unissued = true;
    return open;
  }
  log::Extent last_extent() const override {
    const Appended& last = records.back();
    return {SegmentNumber{1},   static_cast<std::uint32_t>(records.size()) * 64,
            last.header.length, last.header.offset,
            last.header.type,   last.header.flags};
  }
  std::uint64_t barriers = 0;
  Lsn barrier() override {
    ++barriers;
    unissued = true;
    return open;
  }
  Lsn open_lsn() const override { return open; }
  Lsn durable() const override { return stored; }
  unsigned copies(Lsn lsn) const override { return lsn <= stored ? locations_that_hold : 0; }
  bool pump(bool flush) override {
    if (flush && unissued) {
      issued = open;
      open = open + 1;
      unissued = false;
      issued_ceiling = promised_ceiling;
    }
    const bool moved = complete_upto > stored;
    if (moved) {
      stored = complete_upto;
      ceiling = issued_ceiling;
    }
    return moved;
  }
  bool has_unissued() const override { return unissued; }
  bool busy() const override { return issued > stored; }
  std::uint64_t unreserved() const override { return room; }
  std::uint64_t inheritable() const override { return room + inherited; }
  void reserve(std::uint64_t bytes) override {
    ASSERT_LE_room(bytes);
    inherited -= std::min(inherited, bytes - std::min(bytes, room));
    room -= std::min(room, bytes);
    reserved += bytes;
  }
  void unreserve(std::uint64_t bytes) override {
    reserved -= bytes;
    if (!scarce) room += bytes;
  }
  void promise_clock(std::uint64_t value) override { promised_ceiling = std::max(promised_ceiling, value); }
  std::uint64_t stored_clock_ceiling() const override { return ceiling; }
  StreamId next_stream_id() override { return StreamId{++ids}; }
  void set_checkpoint_source(log::CheckpointSource* source) override { checkpoint = source; }
  Result<void> read(const log::Extent&, std::uint64_t, MutableBytes) override {
    if (unreadable) return fail(Error::Kind::kCorrupt, "rot");
    return {};
  }
  std::vector<log::LocationStatus> locations() const override { return {}; }
  unsigned stored_on() const override { return 1; }
  bool quorum_lost() const override { return false; }
  bool full() const override { return room == 0; }
  void retry_space() override { ++space_retries; }

  // Everything issued so far is durable at the next pump.
  void complete() { complete_upto = issued; }
  std::size_t count(log::RecordType type) const {
    std::size_t n = 0;
    for (const Appended& record : records) n += record.header.type == type ? 1 : 0;
    return n;
  }
  void ASSERT_LE_room(std::uint64_t bytes) const {
    if (bytes > room + inherited) throw std::logic_error("reserved more than there is");
  }

  log::Secrets secrets_;
  std::vector<Appended> records;
  Lsn open{2}, issued{1}, stored{1}, complete_upto{1};
  bool unissued = false, no_room = false, unreadable = false;
  bool scarce = false;  // room that was used is gone
  std::uint64_t room = 1U << 30, reserved = 0;
  std::uint64_t inherited = 0;  // room for a predecessor's promises only
  std::uint64_t ceiling = 1'000'000'000, promised_ceiling = 0, issued_ceiling = 1'000'000'000;
  std::uint64_t ids = 0;
  unsigned space_retries = 0;
  log::CheckpointSource* checkpoint = nullptr;
};

}  // namespace holdfast::gate
