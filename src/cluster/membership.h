// This node among a service's members: joins, says every fifth of the lease that it lives and what it has, and sees
// what the others say. Nothing here waits but open() and leave(), so it may run beside the frames.
//
// Threads: the store's.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "cluster/members.h"
#include "location/rados/object_store.h"

namespace holdfast::cluster {

class Membership {
 public:
  Membership(std::string service, std::string identity, std::unique_ptr<location::rados::ObjectStore> store,
             Duration lease);

  // The service's buckets; those proposed, where this is its first node. kUsage: it has another number of them. Blocks.
  Result<Buckets> open(const Buckets& proposed);

  // What we had when we were seen last, where this is a process after another of the same node.
  const std::map<Bucket, std::uint64_t>& had() const { return had_; }

  // What is to be known of us, from now on; the counter is none of the caller's business.
  void say(Member own);
  // Asks the owner of this log under this epoch to give it back.
  void ask_for(const std::string& group, std::uint64_t epoch);
  // Takes what has ended, and begins what is due. True: there is something new in members().
  bool turn();
  // When turn() is due at the latest.
  Time deadline() const;

  // The others, as they were seen last. Who has not been heard of for long is not among them any more.
  const std::map<std::string, Member>& others() const { return others_; }
  bool lives(const std::string& identity) const { return watch_.lives(identity); }
  // A full picture has been seen, for long enough to tell who lives.
  bool settled() const { return settled_; }
  // The last that was seen is not older than a lease.
  bool sees() const;
  const std::string& problem() const { return problem_; }  // why not

  // Strikes us off the list; blocks, as long as the store's bound at most.
  void leave();

 private:
  using Tag = std::uint64_t;
  enum : Tag { kWrite = 1, kRead = 2, kErrand = 3 };

  void begin_write();
  void begin_read();
  void read_ended(const location::rados::Finished& finished);
  void remove_long_gone();

  const std::string service_, identity_;
  const std::unique_ptr<location::rados::ObjectStore> store_;
  const Duration lease_;
  Member own_;
  std::map<Bucket, std::uint64_t> had_;
  bool unheard_ = false;  // the others are to be told when it is written
  bool telling_ = false;  // it is being written
  bool writing_ = false, reading_ = false;
  Time write_due_{}, read_due_{}, asked_{};
  Time joined_{};
  std::optional<Time> seen_at_;
  std::map<std::string, Member> others_;
  MemberWatch watch_;
  bool settled_ = false, changed_ = false;
  std::string problem_;
};

}  // namespace holdfast::cluster
