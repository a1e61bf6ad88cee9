#include "sim/engine_runner.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace holdfast::sim {

void give_frame(stack::Engine& engine, Packet& packet, Prng& prng, Time now) {
  wire::RxFrame frame;
  frame.checksum_trusted = packet.partial_checksum;
  frame.gso_size = packet.gso_size;
  MutableBytes all(packet.bytes);
  std::size_t split = all.size();
  const MutableBytes space = prng.one_in(4) ? MutableBytes{} : engine.receive_space();
  if (!space.empty()) {
    constexpr std::size_t kUsualHeaders = 14 + 20 + 32;
    split = prng.one_in(4) ? static_cast<std::size_t>(prng.below(all.size() + 1)) : kUsualHeaders;
    split = std::min(split, all.size());
    if (all.size() - split > space.size()) split = all.size();
  }
  frame.head = all.first(split);
  if (split < all.size()) {
    frame.body = space.first(all.size() - split);
    std::memcpy(frame.body.data(), all.data() + split, all.size() - split);
  }
  engine.on_frame(frame, now);
}

void EngineRunner::start(const std::function<std::unique_ptr<stack::Engine>(wire::FrameSink&)>& make) {
  HF_ASSERT(engine_ == nullptr);
  ++life_;
  wake_ = kNever;
  halted_ = false;
  begin();
  starting_ = true;
  engine_ = make(*this);
  starting_ = false;
  finish();
}

std::deque<Packet> EngineRunner::stop() {
  ++life_;
  // Nothing that a destructor does may reach the world: a killed process runs none.
  auto gone = std::exchange(engine_, nullptr);
  gone.reset();
  return std::exchange(waiting_, {});
}

void EngineRunner::transmit(const wire::TxFrame& frame) {
  if (engine_ == nullptr && !starting_) return;
  hooks_.leaves(gather(frame));
}

void EngineRunner::frame(Packet packet) {
  waiting_.push_back(std::move(packet));
  if (burst == Duration::zero()) return turn();
  wake_at(context_.now() + prng_.between(Duration::zero(), burst));
}

void EngineRunner::turn() {
  if (engine_ == nullptr) return;
  begin();
  while (!waiting_.empty() && !halted_ && engine_->wants_frames()) {
    Packet packet = std::move(waiting_.front());
    waiting_.pop_front();
    give(packet);
  }
  if (!halted_) engine_->pump(context_.now());
  finish();
}

void EngineRunner::give(Packet& packet) {
  if (hooks_.arrives) hooks_.arrives(packet);
  give_frame(*engine_, packet, prng_, context_.now());
}

void EngineRunner::finish() {
  if (hooks_.after_call) hooks_.after_call();
  if (engine_ == nullptr) return;
  const Time deadline = engine_->deadline();
  // An engine that always has something to do at once must not stop the clock.
  if (deadline != kNever) wake_at(std::max(deadline, context_.now() + std::chrono::microseconds(1)));
}

void EngineRunner::wake_at(Time when) {
  if (wake_ <= when) return;
  wake_ = when;
  context_.queue.at(when, [this, when, life = life_] {
    if (life != life_ || when != wake_) return;
    wake_ = kNever;
    turn();
  });
}

}  // namespace holdfast::sim
