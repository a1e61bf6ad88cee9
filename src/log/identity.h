// The small named records at every location: who it is, which epochs it has promised, how far it is known to be
// complete (docs/log-format.md, "Blobs"). Encodings only; pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/prf.h"
#include "base/units.h"
#include "log/format.h"
#include "log/log.h"

namespace holdfast::log {

inline constexpr const char* kIdentityBlob = "identity";
inline constexpr const char* kPromiseBlob = "promise";
inline constexpr const char* kProgressBlob = "progress";

struct Identity {
  LogId log_id{};
  std::uint64_t segment_size = 0;
  std::uint32_t stored_on = 0;  // W; R is members.size()
  // Counts the changes of membership; the highest is in force.
  std::uint64_t generation = 1;
  std::uint32_t index = 0;  // this location's place in `members`
  // It takes the place of a lost member and does not hold the whole log yet: counts for no quorum.
  bool refilling = false;
  Secrets secrets;
  std::vector<std::uint64_t> members;  // random ids, one a location

  std::uint64_t own_id() const { return members[index]; }
  LogKey key() const { return {log_id, secrets.mac, segment_size}; }
};

// No epoch below this one may start here any more.
struct Promise {
  LogId log_id{};
  Epoch epoch;
};

// This location holds every batch up to `lsn`. Stored only for batches that were durable while a started epoch went on,
// so that every later chain has the same ones.
struct Progress {
  LogId log_id{};
  Lsn lsn;
};

std::vector<std::byte> encode(const Identity& identity);
std::vector<std::byte> encode(const Promise& promise);
std::vector<std::byte> encode(const Progress& progress);

// kIncompatible: a newer format; kCorrupt: damaged. `location` names it in the message.
Result<Identity> decode_identity(Bytes blob, const std::string& location);
Result<Promise> decode_promise(Bytes blob, const std::string& location);
Result<Progress> decode_progress(Bytes blob, const std::string& location);

std::string to_string(const LogId& id);  // 32 hexadecimal digits

}  // namespace holdfast::log
