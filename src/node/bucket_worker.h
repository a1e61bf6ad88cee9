// A process that serves one bucket of an address (cluster/bucket.h): this same program, as a node of the bucket's own
// service group. It gets its frames from us over a socket, in which they wait while it is away, sends straight to the
// device, and tells what happens to it over a pipe, as events.
//
// Threads: one owner thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "cluster/bucket.h"
#include "location/ring.h"
#include "location/unique_fd.h"
#include "node/event_file.h"
#include "node/restart_policy.h"

namespace holdfast::node {

// What is the same for all of a node's workers.
struct WorkerCommand {
  std::vector<std::string> arguments;  // argv[0] first, without what is each worker's own
  std::vector<int> inherited;          // descriptors that they get, under the same numbers
};

class BucketWorker {
 public:
  enum class State : std::uint8_t {
    kNone,      // no process
    kStarting,  // not known yet
    kStandingBy,
    kTaking,  // has begun to take the log: frames are for it
    kServing,
    kGiving,  // has given the log back, or lost it, and passes on what still comes
  };

  BucketWorker(cluster::Bucket bucket, const WorkerCommand& command, const EventFile& events, location::Ring& ring)
      : bucket_(bucket), command_(command), events_(events), ring_(ring) {}
  ~BucketWorker();
  BucketWorker(const BucketWorker&) = delete;
  BucketWorker& operator=(const BucketWorker&) = delete;

  State state() const { return state_; }
  // Holds the log, or is about to, or will again at once.
  bool holds() const { return state_ == State::kTaking || state_ == State::kServing; }
  bool seeks() const { return state_ == State::kStarting || state_ == State::kStandingBy; }
  // For the other nodes: the bucket is ours under epoch(), or on its way to us.
  bool has() const { return holds() && epoch_ > 0; }
  bool acquires() const { return seeks() || (holds() && epoch_ == 0); }
  bool runs() const { return process_ > 0; }
  std::uint64_t epoch() const { return epoch_; }  // under which it serves
  Time since() const { return since_; }           // it is in this state

  // False: it cannot be started now; try again after retry_at().
  bool start(Time now);
  // Another process of this node has had the log under this epoch: as if it had been ours.
  bool resume(std::uint64_t epoch, Time now);
  Time retry_at() const { return retry_at_; }
  // As an operator would: gives the log back, and ends.
  void stop();
  void kill();
  // The same bytes that the device gave. False: there is no room, and the frame is dropped.
  bool give(Bytes message);

  // Once before a wait, and once after; true: the state is another one.
  void arm();
  bool turn(Time now);

 private:
  bool make_channels();
  void read_events(Time now);
  void take_event(std::string_view line, Time now);
  void reap(Time now);
  void enter(State state, Time now);

  const cluster::Bucket bucket_;
  const WorkerCommand& command_;
  const EventFile& events_;
  location::Ring& ring_;
  location::UniqueFd ours_, theirs_;  // the frames' socket; both stay while the process is restarted
  location::UniqueFd told_;           // the events' pipe
  std::unique_ptr<location::Readiness> readable_;
  std::string partial_;  // the beginning of an event
  pid_t process_ = 0;
  bool ended_ = false;  // its pipe is closed: it is about to be reaped
  bool stopped_ = false;
  State state_ = State::kNone;
  std::uint64_t epoch_ = 0;
  Time since_{}, ready_at_ = kNever;
  Time retry_at_{};
  RestartPolicy policy_;
};

}  // namespace holdfast::node
