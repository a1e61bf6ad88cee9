// Guarded writes whose outcome is always known in the end. An answer that does not come in time says nothing: the write
// may have happened, or may yet. So from then on nothing new is begun; once all that is on its way has ended, what is
// unknown is done again, the same bytes at the same place, until it is known; then what waited goes on. A write for
// which there is no room is done again likewise.
//
// Whoever uses this makes sure that doing a write twice is the same as doing it once.
//
// Threads: the store's.
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "location/rados/object_store.h"

namespace holdfast::location::rados {

class SettledWrites {
 public:
  // kUnknown only after abandon().
  using Done = std::function<void(const Finished&)>;

  // Tags that end in `kind` (of 8) are this object's.
  SettledWrites(ObjectStore& store, std::uint64_t kind) : store_(store), kind_(kind) {}

  // `write.data` stays until `done` was called. `tell_full`: that there is no room is an answer, not a reason to wait.
  void begin(ObjectWrite write, Done done, bool tell_full = false);
  void finished(const Finished& finished);
  // To be called now and then; begins what is due. Next time: wake_at().
  void tick(Time now);
  Time wake_at() const { return retry_at_; }

  // Nothing of this object's is on its way, or may be.
  bool idle() const { return writes_.empty(); }
  // Something is being found out, or waits for room.
  bool unsettled() const { return unsettled_; }
  bool full() const { return full_; }
  // Where not idle: since when no write has been answered, and what the oldest one is for.
  Time unanswered_since() const { return unanswered_since_; }
  const std::string& oldest_object() const { return writes_.begin()->second.write.object; }
  // Nothing further is begun: each write that has not begun ends in this outcome.
  void give_up(Outcome outcome);
  // The same, and nothing is waited for any more: what is on its way may happen, or may yet, and ends in kUnknown here.
  void abandon();
  // As new. Only where nothing is pending.
  void begin_anew();

 private:
  enum class State : std::uint8_t { kWaiting, kOnItsWay, kUnknown, kNoRoom };
  struct Write {
    ObjectWrite write;
    Done done;
    bool tell_full = false;
    State state = State::kWaiting;
  };
  static constexpr Duration kPause = std::chrono::milliseconds(100);  // before what found no room is tried again

  void issue(std::uint64_t number, Write& write);
  void go_on();

  ObjectStore& store_;
  const std::uint64_t kind_;
  std::map<std::uint64_t, Write> writes_;  // by number: in the order of begin()
  std::uint64_t next_ = 1, first_ = 1;     // what is below the first is abandoned
  Time unanswered_since_{};
  std::size_t on_their_way_ = 0;
  bool unsettled_ = false;
  bool full_ = false;
  Time retry_at_ = kNever;
  std::optional<Outcome> given_up_;
};

}  // namespace holdfast::location::rados
