// location::Location over a RADOS pool: one head object, which names the segments and has the blobs, and an object for
// each segment. Whoever writes owns the log by an *epoch*, a number in the head, and every write asserts it:
//
// - A new owner raises the head's epoch, by comparing and setting: there is one winner, and from then on no segment can
//   be brought into use by an older owner. Then it raises the epoch of each segment that an older owner may write to:
//   from then on none of its writes lands. Only then does it read.
// - What an owner is done with is put at rest (pool_rest.cc), and woken before it is written to again.
// - A segment is in use once the head says so, which is written with the epoch asserted, after its object was made.
// - A time-out is an unknown outcome, and settled before anything follows (settled_writes.h).
// - A lease (lease.h) is renewed in the head. An owner whose lease has run out reports nothing as done until a renewal
//   has come through.
//
// Threads: the store's. While nothing is polled for a lease's length, others may take the log: nothing is lost by it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "location/location.h"
#include "location/rados/cluster.h"
#include "location/rados/head.h"
#include "location/rados/lease.h"
#include "location/rados/read_ahead.h"
#include "location/rados/settled_writes.h"

namespace holdfast::location::rados {

// Who we are, for the head.
struct Self {
  std::string identity;  // the same for the processes of one node, of which one lives at a time; not empty
  std::string host;
  std::uint64_t process = 0;
  std::string mac;
  Duration lease = std::chrono::seconds(2);  // 100 ms to 10 min
  std::string serves;                        // Owner::serves
};

// Of whoever waits for a pool: for all of it before the log runs, while it is taken and read; for reads afterwards too.
struct Patience {
  // For answers to writes, since the last one came.
  Duration bound = std::chrono::seconds(15);
  // For so long a read that is not answered is asked for again: peers wait for what it is to bring. Since the last one
  // that was answered, not for each. Zero: only once, where other locations may do, or all of it is tried again.
  Duration reads = std::chrono::seconds(30);
  // Asked again and again while anything is waited for: true ends it. Whoever has this look at something that wakes the
  // store's wait() is heard at once. May be unset, like the next.
  std::function<bool()> over;
  // What is waited for, for a second or more: one line for a person, once for each object.
  std::function<void(const std::string&)> tell;
};

class Pool final : public Location {
 public:
  // `place`: for messages. `log`: the prefix of the objects' names.
  Pool(std::string place, std::string log, std::unique_ptr<ObjectStore> store, Self self);
  // Gives the log back where nothing is on its way (release()).
  ~Pool() override;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // What the cluster says of the pool; one copy where nothing is set.
  void set_replication(Replication replication) { replication_ = replication; }
  const Replication& replication() const { return replication_; }

  // For as long as the log does not run. Once it has run out the pool is done with: what waits ends in a time-out, and
  // nothing more is begun. The default has a bound, and nobody who is asked or told.
  void set_patience(Patience patience) { patience_ = std::move(patience); }

  // ---- Ownership ----

  // ---- The same without waiting, for a shard that serves ----

  // Asks who owns the log, unless that is on its way; the answer is for take_look().
  void begin_look();
  // What has come since the last call.
  std::optional<Result<Head>> take_look() { return std::exchange(look_came_, std::nullopt); }

  // What the head says now; epoch 0 where there is none. Blocks.
  Result<Head> look();
  // The same without segments and blobs, which may be many.
  Result<Head> look_at_owner();
  // Of a head that was asked for at `asked` and has just come: whether the log may be taken, for all that was seen
  // before (lease.h).
  bool may_take(const Head& seen, Time asked);
  // The owner that was looked at last has been seen to renew.
  bool owner_renews() const { return watch_.renews(); }
  // Takes the log from the owner that `seen` speaks of, and fences it off; blocks. False: somebody else was quicker,
  // the owner has renewed since, or somebody has taken the log from us before that was done; it may be tried again.
  // Waits for segments no longer than there is patience, and says which one it was.
  Result<bool> take(const Head& seen);
  bool owned() const { return owned_; }
  // Somebody else has taken the log, the cluster has shut us out, or patience has run out: for good.
  bool fenced() const { return fenced_; }
  // We own the log, and have not been able to say so for nearly a lease: nothing is reported as done.
  bool lapsed() const { return owned_ && !fenced_ && lapsed_; }
  // No write is on its way, nor waits, of those either that nobody waits for.
  bool idle() const { return writes_.idle(); }
  // The head says that anybody may take the log now. kBusy unless idle(); blocks until that is answered, or known not
  // to be, or for `bound`: kTimeout, and it may yet happen.
  Result<void> release(Duration bound);
  // No renewal is begun while this holds: the log would rather be somebody else's.
  void let_lapse(bool on) { let_lapse_ = on; }
  // A time-out's outcome is being found out, or there is no room.
  bool unsettled() const { return writes_.unsettled(); }
  bool full() const { return writes_.full(); }
  ObjectStore& store() { return *store_; }
  const Head& head() const { return head_; }  // as it is, where we own it
  // Notifications of what happens to the head reach the store (ObjectStore::notified()). Whoever asks knows that we
  // stand by, or serve.
  enum class Role : std::uint8_t { kStandsBy, kServes };
  void watch_head(Role role) { store_->look_at(head_name_, role == Role::kStandsBy ? kStandingBy : kServing); }
  // Whether anybody stands by for this log, as far as answers come; blocks.
  Result<bool> somebody_stands_by();
  // The same without waiting.
  void begin_roll_call();
  std::optional<bool> take_roll_call() { return std::exchange(roll_called_, std::nullopt); }
  // Asks the owner that `seen` speaks of to give the log back; false: it is not the owner any more. Blocks.
  Result<bool> ask_for(const Head& seen);
  // Asks it to release segments; Head::trim_done has the answer, some time later. Likewise.
  Result<bool> ask_to_trim(const Head& seen, const Trim& trim);
  // The owner's answer; nobody waits for it to be stored.
  void answer_trim(const Trim& trim);

  // ---- Location ----

  const std::string& name() const override { return place_; }
  unsigned copies() const override { return replication_.min_size; }
  bool remote() const override { return true; }
  // Waits as long as an owner renews its lease, up to `bound`; a lease that runs out is taken. One that has not been
  // seen to be renewed is waited for longer: else nobody whose bound is shorter would ever take it.
  Result<void> lock(Duration bound) override;
  // We hold the log; whether another one does is for lock() and for readers to find out.
  bool has_owner() const override;
  Result<void> confirm_lock() override;
  Result<std::vector<SegmentInfo>> segments() override;
  Result<void> read(SegmentNumber segment, std::uint64_t offset, MutableBytes into) override;
  Result<std::optional<std::vector<std::byte>>> read_blob(const std::string& blob) override;
  Result<std::vector<std::string>> blobs() override;
  Result<void> write_blob(const std::string& blob, Bytes content) override;
  Result<void> remove_blob(const std::string& blob) override;

  void write(Token token, SegmentNumber segment, std::uint64_t offset, Bytes bytes) override;
  void prepare(Token token, SegmentNumber segment, std::uint64_t size) override;
  // Makes `to` anew, and then removes `from` in the background: an object costs nothing before it is written to.
  void recycle(Token token, SegmentNumber from, SegmentNumber to) override;
  void remove(Token token, SegmentNumber segment) override;
  void replace_blob(Token token, const std::string& blob, Bytes content) override;

  std::size_t poll(std::span<Completion> out) override;
  std::size_t in_flight() const override { return in_flight_; }
  void wait() override;

 private:
  enum Kind : std::uint64_t {
    kSettled = 1,
    kRenewal = 2,
    kAnswer = 3,
    kPiece = 4,
    kLook = 5,
    kRollCall = 6
  };  // the lowest three bits of a tag

  static bool stands_by(const Finished& finished);
  std::unexpected<Error> wrong(const Finished& finished, std::string_view what) const;
  std::unexpected<Error> timed_out(std::string_view what) const;
  std::unexpected<Error> taken_over() const;
  Result<const std::vector<std::byte>*> piece(const ReadAhead::Piece& wanted);
  std::uint64_t size_of(SegmentNumber segment) const;
  std::size_t size_of(const ReadAhead::Piece& piece) const;
  ObjectRead read_of(const ReadAhead::Piece& piece) const;
  void ask_for_piece(const ReadAhead::Piece& wanted);
  Finished ask(const ObjectRead& read);
  Finished ask(const ObjectWrite& write);
  Result<bool> ask_owner(const ObjectWrite& request, std::string_view what);
  Finished ask_patiently(const ObjectRead& read);
  Finished await(std::uint64_t tag, const std::string& object);
  std::optional<Finished> await(std::uint64_t tag, Time bound);
  void work();
  void tick(Time now);
  Time due() const;
  void renew(Time now);
  void renewal_ended(const Finished& finished);
  void fence_off(Outcome outcome);
  void give_up();
  bool over();
  bool patient();
  void tell_of(const std::string& object);
  Result<bool> fence_off_others(const Head& seen);
  Result<bool> raise_segments();
  void raise_late();
  Owner owner_record(Owner::State state) const;
  ObjectWrite on_head() const;
  ObjectWrite raise_of(SegmentNumber segment) const;
  ObjectWrite removal_of(SegmentNumber segment) const;
  ObjectWrite segment_entry_write(SegmentNumber segment, std::optional<SegmentEntry> entry) const;

  using Next = std::function<void()>;
  using Ended = std::function<void(std::optional<Error>)>;
  Ended completion(Token token);
  void in_turn(const std::string& entry, Next begin);
  void turn_over(const std::string& entry);
  void begin_change(const std::string& entry, Next next);
  void change(const std::string& entry, Ended ended, std::function<void(const Ended&)> begin);
  bool at_rest(SegmentNumber segment) const;
  void note(SegmentNumber segment, const SegmentEntry& entry);
  void note_gone(SegmentNumber segment);
  bool done_with(std::uint64_t segment) const;
  void wrote(SegmentNumber segment);
  void rest();
  void rest(SegmentNumber segment);
  void wake(SegmentNumber segment, Next next, Ended failed);
  void make_segment(SegmentNumber segment, std::uint64_t size, Ended ended);
  void take_over_object(ObjectWrite write, const std::string& what, const Ended& ended, const Next& next);
  void make_now(SegmentNumber segment, std::uint64_t size, const Ended& over);
  void unmake(SegmentNumber segment, const Next& done);
  void remove_segment(SegmentNumber segment, Ended ended);
  void remove_now(SegmentNumber segment, const Ended& ended);
  void step(ObjectWrite write, std::string what, Ended ended, Next next, bool tell_full = false,
            std::optional<Outcome> also_good = std::nullopt);

  static constexpr const char* kStandingBy = "standing-by";
  static constexpr const char* kServing = "serving";

  const std::string place_, log_, head_name_;
  std::unique_ptr<ObjectStore> store_;
  const Self self_;
  Replication replication_{1, 1};
  Patience patience_;
  std::set<std::string> told_of_;
  Lease lease_;
  SettledWrites writes_;

  bool owned_ = false, fenced_ = false, lapsed_ = false;
  bool given_up_ = false;  // fenced_ for want of patience
  Outcome fenced_by_ = Outcome::kGuard;
  std::uint64_t epoch_ = 0;
  std::uint64_t renewal_ = 0;
  std::map<std::uint64_t, std::pair<std::uint64_t, Time>> renewals_;  // on their way, by tag: epoch, when begun
  Head head_;                                                         // as it is, where we own it
  std::uint64_t next_tag_ = 1;
  std::map<std::uint64_t, std::optional<Finished>> answers_;  // awaited
  bool looking_ = false, calling_ = false;                    // on their way
  std::optional<Result<Head>> look_came_;
  std::optional<bool> roll_called_;
  bool let_lapse_ = false;
  bool raised_late_ = false;  // kPoolFenceLate
  LeaseWatch watch_;
  std::optional<Time> unread_since_;  // no read was answered
  ReadAhead ahead_;
  Time forget_at_ = kNever;                           // what was read
  std::map<std::uint64_t, ReadAhead::Piece> pieces_;  // on their way, by tag
  // Of one entry of the head one change at a time.
  struct Change {
    std::deque<Next> waiting;
    bool beginning = false, over = false;
  };
  std::map<std::string, Change> changing_;
  // Segments by number (pool_rest.cc): of those in use the ones that are not at rest; writes that have not come to a
  // good end; what waits for one that is being woken.
  std::set<std::uint64_t> awake_;
  std::map<std::uint64_t, std::size_t> writing_;
  std::map<std::uint64_t, std::vector<std::pair<Next, Ended>>> waking_;
  std::uint64_t newest_written_ = 0, written_before_ = 0;  // by this owner
  std::size_t resting_ = 0;                                // on their way to the head
  std::deque<Completion> finished_;
  std::size_t in_flight_ = 0;
};

}  // namespace holdfast::location::rados
