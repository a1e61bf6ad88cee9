// A function with a stack of its own, which can be left in the middle and gone on with later: so that several nodes
// that block run in one thread, in an order that the simulation chooses.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace holdfast::sim {

class Fiber {
 public:
  explicit Fiber(std::function<void()> body) : body_(std::move(body)), stack_(new_stack()) {
    ::getcontext(&inside_);
    inside_.uc_stack.ss_sp = stack_.get();
    inside_.uc_stack.ss_size = kStack;
    inside_.uc_link = &outside_;
    const auto self = reinterpret_cast<std::uintptr_t>(this);  // makecontext() hands on nothing but ints
    ::makecontext(&inside_, reinterpret_cast<void (*)()>(&Fiber::start), 2, static_cast<unsigned>(self >> 32),
                  static_cast<unsigned>(self));
  }
  // Only once it has ended, or before it began: what lies on its stack is not destroyed.
  ~Fiber() { spare().push_back(std::move(stack_)); }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From outside: returns at the next pause(), or when it has ended.
  void resume() { ::swapcontext(&outside_, &inside_); }
  // From inside.
  void pause() { ::swapcontext(&inside_, &outside_); }
  bool ended() const { return ended_; }

 private:
  static constexpr std::size_t kStack = 256U << 10;
  using Stack = std::unique_ptr<std::byte[]>;

  static std::vector<Stack>& spare() {
    static std::vector<Stack> stacks;
    return stacks;
  }
  static Stack new_stack() {
    if (spare().empty()) return std::make_unique_for_overwrite<std::byte[]>(kStack);
    Stack stack = std::move(spare().back());
    spare().pop_back();
    return stack;
  }
  static void start(unsigned high, unsigned low) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): makecontext() hands over nothing but ints
    auto* const self = reinterpret_cast<Fiber*>(std::uintptr_t{high} << 32 | low);
    self->body_();
    self->ended_ = true;
  }

  const std::function<void()> body_;
  Stack stack_;
  ucontext_t inside_{}, outside_{};
  bool ended_ = false;
};

}  // namespace holdfast::sim
