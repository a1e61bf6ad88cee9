// What a log's head object says: who owns the log, and which segments it has. docs/log-format.md has every byte.
//
//   attribute "epoch"       the owner's number, twenty decimal digits: what guards compare
//   attribute "owner"       the owner (Owner), lines of "key=value"
//   attribute "format"      of the log, a decimal number; not there: 1
//   attribute "handover"    an epoch, written as that one: its owner is asked to give the log back
//   attribute "trim"        that epoch's owner is asked to release segments (Trim, lines of "key=value")
//   attribute "trimmed"     its answer
//   entry "making-%016x"    a segment that is being made: one byte, the state, and the size as 8 bytes, little-endian
//                           (not under the next name, so that such an entry which lands late undoes nothing)
//   entry "segment-%016x"   a segment that was made: likewise
//   entry "blob-NAME"       a blob
//
// Pure functions. What is decoded is hostile until checked.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "location/location.h"
#include "location/rados/object_store.h"

namespace holdfast::location::rados {

struct Owner {
  enum class State : std::uint8_t {
    kActive,    // holds the log, for as long as it renews
    kReleased,  // has ended, and nothing of it is on its way: anybody may take the log at once
  };
  State state = State::kActive;
  std::string identity;       // of the node, over its restarts: hexadecimal digits
  std::string host;           // for people
  std::uint64_t process = 0;  // for people
  std::string client;         // its address in the cluster, for the blocklist
  std::string mac;            // where frames that still reach a former owner are passed on to; may be empty
  std::uint64_t lease = 0;    // nanoseconds
  std::uint64_t renewal = 0;  // counts up
  std::string serves;         // address and services, for the nodes of its group to compare; may be empty
  bool operator==(const Owner&) const = default;
};

enum class SegmentState : std::uint8_t {
  kMaking = 1,    // its object may not be there; nothing was ever written to it
  kMade = 2,      // in use, and awake: it may be written to
  kRemoving = 3,  // its object may be gone
  kAtRest = 4,    // in use; nothing is on its way to it, and nothing will be before it is awake (pool_rest.cc)
};
struct SegmentEntry {
  SegmentState state = SegmentState::kMaking;
  std::uint64_t size = 0;
  bool in_use() const { return state == SegmentState::kMade || state == SegmentState::kAtRest; }
  bool operator==(const SegmentEntry&) const = default;
};

// A trim of a log while its owner runs: who asks, and in the answer how far it came.
struct Trim {
  std::uint64_t id = 0;  // random: the answer has the same
  SegmentNumber first_kept;
  bool operator==(const Trim&) const = default;
};

struct Head {
  std::uint64_t epoch = 0;  // 0: there is no head
  std::optional<Owner> owner;
  std::string owner_text;                     // as it is in the head: what a take compares
  bool wanted = false;                        // this owner is asked to give the log back
  std::optional<Trim> trim_asked, trim_done;  // of this owner, by this owner
  std::map<std::uint64_t, SegmentEntry> segments;
  std::map<std::string, std::vector<std::byte>> blobs;

  // The owner that holds the log as far as the head says; null: anybody may take it.
  const Owner* active_owner() const { return owner && owner->state == Owner::State::kActive ? &*owner : nullptr; }
  // Those in use, ascending.
  std::vector<SegmentInfo> segments_in_use() const;
  std::vector<std::string> blob_names() const;
};

inline constexpr const char* kAttributeOwner = "owner";
// The newest format of a log that this program understands, and the one that it makes: a log of a newer one is left
// alone, before anybody's ownership is touched. Whoever raises it does so in one write with the owner's record: who
// looked before that cannot take the log then. (What the number is of is the log's business: log/format.h.)
inline constexpr std::uint64_t kNewestFormat = 1;
inline constexpr const char* kAttributeFormat = "format";
inline constexpr const char* kAttributeHandover = "handover";
inline constexpr const char* kAttributeTrim = "trim";
inline constexpr const char* kAttributeTrimmed = "trimmed";

std::string head_object(const std::string& log);
std::string segment_object(const std::string& log, SegmentNumber segment);
std::string segment_entry(SegmentNumber segment);
std::string making_entry(SegmentNumber segment);
std::string blob_entry(const std::string& blob);

// Reads the head; `entries`: its segments and blobs too, not only who owns it.
ObjectRead head_read(const std::string& log, bool entries);
// Asks the owner with this epoch to give the log back; guarded by it.
ObjectWrite handover_request(const std::string& log, std::uint64_t epoch);
// Asks the owner with this epoch to release segments; guarded likewise. The owner answers in kAttributeTrimmed.
ObjectWrite trim_request(const std::string& log, std::uint64_t epoch, const Trim& trim);
ObjectRead segment_read(const std::string& log, SegmentNumber segment, std::uint64_t offset, std::size_t length);

std::string encode(const Owner& owner);
std::string encode(const Trim& trim, std::uint64_t epoch);
std::vector<std::byte> encode(const SegmentEntry& entry);

// `read` is what reading the head brought. kCorrupt, kIncompatible (a newer format, entries of a newer version).
Result<Head> decode_head(const Finished& read, const std::string& place);

// "HOST, process 123"
std::string describe(const Owner& owner);

}  // namespace holdfast::location::rados
