// Runs one stack::Engine in simulated time, as a shard runs it on a device: frames in (split between head and receive
// space as a link would), a turn after each burst, a turn at each deadline, frames out.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "sim/context.h"
#include "sim/packet.h"
#include "sim/prng.h"
#include "stack/engine.h"

namespace holdfast::sim {

// Gives a frame to the engine, split between head and receive space: mostly behind the usual headers, as a link
// guesses, sometimes anywhere, sometimes not at all.
void give_frame(stack::Engine& engine, Packet& packet, Prng& prng, Time now);

class EngineRunner : public wire::FrameSink {
 public:
  struct Hooks {
    // A frame leaves, inside an engine call.
    std::function<void(Packet)> leaves;
    // A frame is about to be given to the engine. May be empty.
    std::function<void(const Packet&)> arrives;
    // Around each call into the engine. May be empty.
    std::function<void()> before_call, after_call;
  };

  EngineRunner(Context& context, Prng prng, Hooks hooks) : context_(context), prng_(prng), hooks_(std::move(hooks)) {}

  // Frames that arrive close together are one burst: the turn comes this much later at most.
  Duration burst{};

  void start(const std::function<std::unique_ptr<stack::Engine>(wire::FrameSink&)>& make);
  // The process is gone: what waited in the engine with it. Frames that it had not taken yet are returned.
  std::deque<Packet> stop();
  bool running() const { return engine_ != nullptr; }
  // Dead in the middle of a call: it gets no more frames until stop().
  void halt() { halted_ = true; }
  stack::Engine& engine() { return *engine_; }

  void frame(Packet packet);
  // Lets the engine take frames and work, now.
  void turn();
  // Any call into the engine, followed by what it changes in time.
  template <class Call>
  auto call(Call&& call) {
    begin();
    if constexpr (std::is_void_v<decltype(call(*engine_))>) {
      call(*engine_);
      finish();
    } else {
      auto result = call(*engine_);
      finish();
      return result;
    }
  }

  void transmit(const wire::TxFrame& frame) override;

 private:
  void begin() {
    if (hooks_.before_call) hooks_.before_call();
  }
  void finish();
  void give(Packet& packet);
  void wake_at(Time when);

  Context& context_;
  Prng prng_;
  Hooks hooks_;
  std::unique_ptr<stack::Engine> engine_;
  std::deque<Packet> waiting_;
  std::uint64_t life_ = 0;
  Time wake_ = kNever;
  bool starting_ = false;
  bool halted_ = false;
};

}  // namespace holdfast::sim
