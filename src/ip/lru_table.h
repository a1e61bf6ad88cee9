// A map from IPv4 addresses to values with room for a fixed number of them. When it is full, the entry that was not
// used for the longest time makes room. All memory is taken by the constructor.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "wire/address.h"

namespace holdfast::ip {

template <class Value>
class LruTable {
 public:
  struct Entry {
    wire::Ipv4Address key;
    Value value{};

   private:
    friend class LruTable;
    std::uint32_t chain = kNone;  // next in the bucket, or in the free list
    std::uint32_t older = kNone, newer = kNone;
  };

  // `seed` keeps a stranger from choosing addresses that collide.
  LruTable(std::uint32_t capacity, std::uint64_t seed)
      : seed_(seed | 1), buckets_(2 * capacity, kNone), entries_(capacity) {
    HF_ASSERT(capacity > 0);
    for (std::uint32_t i = 0; i < capacity; ++i) entries_[i].chain = i + 1 < capacity ? i + 1 : kNone;
    free_ = 0;
  }

  std::uint32_t size() const { return size_; }
  bool full() const { return free_ == kNone; }

  // Null when there is none. Is no use of it: see touch().
  Entry* find(wire::Ipv4Address key) { return const_cast<Entry*>(std::as_const(*this).find(key)); }
  const Entry* find(wire::Ipv4Address key) const {
    for (std::uint32_t i = buckets_[bucket(key)]; i != kNone; i = entries_[i].chain) {
      if (entries_[i].key == key) return &entries_[i];
    }
    return nullptr;
  }

  void touch(Entry& entry) {
    const std::uint32_t i = index(entry);
    if (i == newest_) return;
    unlink(i);
    link_newest(i);
  }

  // The entry that insert() would push out of a full table.
  Entry* oldest() { return oldest_ == kNone ? nullptr : &entries_[oldest_]; }

  // Adds a key that is not there, as the one last used. A full table loses its oldest entry.
  Entry& insert(wire::Ipv4Address key) {
    if (full()) erase(entries_[oldest_]);
    const std::uint32_t i = free_;
    Entry& entry = entries_[i];
    free_ = entry.chain;
    entry.key = key;
    entry.value = Value{};
    std::uint32_t& head = buckets_[bucket(key)];
    entry.chain = head;
    head = i;
    link_newest(i);
    ++size_;
    return entry;
  }

  void erase(Entry& entry) {
    const std::uint32_t i = index(entry);
    std::uint32_t* at = &buckets_[bucket(entry.key)];
    while (*at != i) at = &entries_[*at].chain;
    *at = entry.chain;
    unlink(i);
    entry.chain = free_;
    free_ = i;
    --size_;
  }

  // Calls visit(entry) for each, newest first; visit may erase the entry that it got.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (std::uint32_t i = newest_; i != kNone;) {
      const std::uint32_t next = entries_[i].older;
      visit(entries_[i]);
      i = next;
    }
  }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  std::uint32_t index(const Entry& entry) const { return static_cast<std::uint32_t>(&entry - entries_.data()); }

  std::size_t bucket(wire::Ipv4Address key) const {
    std::uint64_t x = (key.value ^ (seed_ >> 32)) * seed_;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ULL;
    return (x >> 32) % buckets_.size();
  }

  void link_newest(std::uint32_t i) {
    entries_[i].older = newest_;
    entries_[i].newer = kNone;
    if (newest_ != kNone) entries_[newest_].newer = i;
    newest_ = i;
    if (oldest_ == kNone) oldest_ = i;
  }

  void unlink(std::uint32_t i) {
    const std::uint32_t older = entries_[i].older;
    const std::uint32_t newer = entries_[i].newer;
    (newer == kNone ? newest_ : entries_[newer].older) = older;
    (older == kNone ? oldest_ : entries_[older].newer) = newer;
  }

  std::uint64_t seed_;
  std::vector<std::uint32_t> buckets_;
  std::vector<Entry> entries_;
  std::uint32_t free_ = kNone;
  std::uint32_t newest_ = kNone, oldest_ = kNone;
  std::uint32_t size_ = 0;
};

}  // namespace holdfast::ip
