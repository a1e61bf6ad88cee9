#include "log/batch_slots.h"

#include "base/assert.h"
#include "location/location.h"

namespace holdfast::log {

BatchSlots::BatchSlots(std::size_t count, std::size_t buffer_size)
    : memory_(round_up(count * buffer_size, location::kBufferAlignment), location::kBufferAlignment), slots_(count) {
  HF_ASSERT(count <= 64 && buffer_size % kBlock == 0);
  for (std::size_t i = 0; i < count; ++i) slots_[i].buffer = memory_.bytes().subspan(i * buffer_size, buffer_size);
}

std::optional<std::uint8_t> BatchSlots::acquire() {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    BatchSlot& slot = slots_[i];
    if (slot.state != BatchSlot::State::kFree) continue;
    slot.state = BatchSlot::State::kOpen;
    slot.header = BatchHeader{};
    slot.writing = slot.queued = 0;
    return static_cast<std::uint8_t>(i);
  }
  return std::nullopt;
}

void BatchSlots::release_up_to(Lsn durable) {
  for (BatchSlot& slot : slots_) {
    const bool done =
        slot.state == BatchSlot::State::kIssued && slot.header.lsn <= durable && slot.writing == 0 && slot.queued == 0;
    if (done) slot.state = BatchSlot::State::kFree;
  }
}

const BatchSlot* BatchSlots::holding(SegmentNumber segment, std::uint32_t position) const {
  for (const BatchSlot& slot : slots_) {
    if (slot.state != BatchSlot::State::kIssued && slot.state != BatchSlot::State::kSealed) continue;
    const BatchPosition at = slot.header.at;
    if (at.segment == segment && at.offset <= position && position < slot.header.end()) return &slot;
  }
  return nullptr;
}

std::optional<std::uint64_t> BatchSlots::clock_ceiling_at(Lsn lsn) const {
  std::optional<std::uint64_t> ceiling;
  Lsn newest;
  for (const BatchSlot& slot : slots_) {
    if (slot.state != BatchSlot::State::kIssued || slot.header.lsn > lsn || slot.header.lsn <= newest) continue;
    newest = slot.header.lsn;
    ceiling = slot.header.clock_ceiling;
  }
  return ceiling;
}

}  // namespace holdfast::log
