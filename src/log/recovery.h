// Opens a log: from locked locations to a log that is ready for its new epoch. The order is what makes it safe; see the
// .cc.
#pragma once

#include <string>
#include <vector>

#include "log/history.h"
#include "log/membership.h"
#include "log/repair.h"
#include "log/write_ahead_log.h"

namespace holdfast::log {

class Recovery {
 public:
  Recovery(const Options& options, const Entropy& entropy, RecordVisitor& visitor)
      : options_(options), entropy_(entropy), visitor_(visitor) {}

  Result<LogStart> run(std::vector<std::unique_ptr<location::Location>> locations, Duration lock_bound);

 private:
  Result<LogStart> find_start();
  Result<void> find_end();
  std::unexpected<Error> explained(Error error);
  bool leave_out_the_silent();
  void find_sources();
  void leave_out_strays();
  Result<void> choose_and_promise_epoch();
  Result<void> read_tail();
  Result<void> decide_who_is_behind();
  Result<void> require_sight_of_end();
  void restore_lost_segments();
  void leave_behind_what_is_not_needed();
  Result<void> bring_up_to_date();
  Result<void> require_quorum() const;
  Result<void> visit();
  LogStart make_start();

  Member& member_of(std::size_t source) { return membership_.members[member_index_[source]]; }
  void fail_source(std::size_t source, const Error& error);
  std::string problems() const;

  const Options& options_;
  const Entropy& entropy_;
  RecordVisitor& visitor_;

  Membership membership_;
  LogKey key_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<std::size_t> member_index_;  // of each source
  std::unique_ptr<Chain> chain_;
  Epoch epoch_;
  std::vector<bool> promised_;  // a member
  Tail tail_;
  SegmentNumber first_segment_;  // of the new epoch
  std::vector<unsigned> ready_;  // segments, a source
};

}  // namespace holdfast::log
