// Objects with guards, as RADOS has them, behind an interface: what lies above runs on librados (librados_store.h) and,
// unchanged, on objects in memory with faults (memory_store.h).
//
// An operation is atomic on its one object: either all of it happens or nothing. Operations on different objects are
// not ordered; those of one client on one object are executed in the order of their submission.
//
// Threads: one owner thread for everything.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/units.h"

namespace holdfast::location::rados {

struct ObjectWrite {
  enum class Existence : std::uint8_t {
    kRequired,  // else kAbsent
    kNew,       // created; else kExists
  };
  std::string object;
  Existence existence = Existence::kRequired;
  // Guards; else kGuard. On the object's attribute "epoch" (an object without one has a lower one than any):
  std::optional<std::uint64_t> epoch;          // must be this number
  std::optional<std::uint64_t> epoch_at_most;  // must be no higher
  // Attributes that must be there, with just this text:
  std::vector<std::pair<std::string, std::string>> unchanged;
  std::vector<std::pair<std::string, std::string>> attributes;          // to be set
  std::vector<std::pair<std::string, std::vector<std::byte>>> entries;  // of the object's map, to be set
  std::vector<std::string> dropped_entries;                             // to be removed
  bool clear = false;                                                   // all data goes first
  std::optional<std::uint64_t> size;                                    // to be set; what is new reads as zeros
  std::uint64_t offset = 0;
  Bytes data;           // to be written at `offset`; copied by submit(); empty: none
  bool remove = false;  // the object, and with it everything else in here
};

struct ObjectRead {
  std::string object;
  bool attributes = false;
  bool entries = false;  // all of the object's map
  std::uint64_t offset = 0;
  std::size_t length = 0;  // of data; 0: none
};

enum class Outcome : std::uint8_t {
  kDone,
  kAbsent,   // no such object
  kExists,   // there is such an object
  kGuard,    // the epoch is another one, or what was to be unchanged
  kUnknown,  // no answer in time: it may have happened, may yet happen, or never
  kFull,     // no room: it has not happened
  kShutOut,  // this client is on the cluster's blocklist: it has not happened, and nothing more of it will
  kFailed,   // it has not happened, and trying again is of no use
};

struct Finished {
  std::uint64_t tag = 0;
  Outcome outcome = Outcome::kDone;
  std::string reason;  // for people, where the outcome is kFailed
  // Of a read.
  std::map<std::string, std::string> attributes;
  std::map<std::string, std::vector<std::byte>> entries;
  std::vector<std::byte> data;  // shorter than asked for where the object ends
};

inline constexpr const char* kAttributeEpoch = "epoch";
// Twenty digits: RADOS compares attributes as text.
std::string encode_epoch(std::uint64_t epoch);

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // Both return at once; each ends in one Finished with its tag, within a bound of the store's.
  virtual void submit(std::uint64_t tag, const ObjectWrite& write) = 0;
  virtual void submit(std::uint64_t tag, const ObjectRead& read) = 0;
  // What has ended since the last call, in that order. Never blocks.
  virtual std::vector<Finished> take() = 0;
  // For blocking sequences: returns once take() may have something, at `until`, or before; always in a loop.
  virtual void wait(Time until) = 0;

  // A clock that also runs while the machine is suspended.
  virtual Time now() const = 0;
  // take() is called, at the latest, soon after this time; replaces the one asked for before.
  virtual void wake_at(Time when) = 0;

  // This client among all that the cluster knows: what a successor puts on the blocklist. Empty: unknown.
  virtual std::string client_address() const = 0;
  // Keeps a former client out, in the background and as well as it goes: never waited for.
  virtual void shut_out(const std::string& client_address) = 0;
  // Tells whoever looks at this object (look_at) that there is something new. Nothing depends on its arrival.
  virtual void notify(const std::string& object) = 0;
  // `as`: what whoever asks is told of us (ask_lookers). A second time: what we look as has changed. What is lost,
  // since the cluster had trouble of its own, is set up again, and counts as a notification: one may have been missed.
  virtual void look_at(const std::string& object, const std::string& as) = 0;
  // Who looks at this object, and lives: ends in one Finished with its tag, whose `attributes` have, for each, what it
  // looks as. They are notified by it. Takes a second and more where one is dead and not known to be.
  virtual void ask_lookers(std::uint64_t tag, const std::string& object) = 0;
  // A notification has come since the last call.
  virtual bool notified() = 0;
};

}  // namespace holdfast::location::rados
