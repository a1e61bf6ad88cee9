#include "tcp/block_pool.h"

#include <algorithm>
#include <array>
#include <bit>
#include <new>

namespace holdfast::tcp {
namespace {

constexpr std::size_t kMaxFreeBytes = std::size_t{64} << 20;  // a thread, over all sizes
constexpr std::size_t kClasses = 11;                          // 4 KiB .. 4 MiB; larger ones are not kept

constexpr std::size_t class_of(std::size_t size) {
  return static_cast<std::size_t>(std::countr_zero(size) - std::countr_zero(kMinBlock));
}

class FreeLists {
 public:
  ~FreeLists() {
    closed_ = true;
    for (Node*& head : heads_) {
      while (head != nullptr) ::operator delete(std::exchange(head, head->next));
    }
  }

  std::byte* take(std::size_t size) {
    const std::size_t c = class_of(size);
    if (c >= kClasses || heads_[c] == nullptr) return static_cast<std::byte*>(::operator new(size));
    free_bytes_ -= size;
    return reinterpret_cast<std::byte*>(std::exchange(heads_[c], heads_[c]->next));
  }

  void give(std::byte* data, std::size_t size) {
    const std::size_t c = class_of(size);
    if (closed_ || c >= kClasses || free_bytes_ + size > kMaxFreeBytes) return ::operator delete(data);
    free_bytes_ += size;
    heads_[c] = new (data) Node{heads_[c]};
  }

 private:
  struct Node {
    Node* next;
  };
  std::array<Node*, kClasses> heads_{};
  std::size_t free_bytes_ = 0;
  bool closed_ = false;
};

thread_local FreeLists free_lists;

}  // namespace

Block::Block(std::size_t size) : size_(std::bit_ceil(std::max(size, kMinBlock))) { data_ = free_lists.take(size_); }

void Block::release() {
  if (data_ != nullptr) free_lists.give(data_, size_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace holdfast::tcp
