#include "log/membership.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/endian.h"
#include "log/quorum.h"

namespace holdfast::log {
namespace {

using Locations = std::vector<std::unique_ptr<location::Location>>;

// What a location turned out to be.
struct Found {
  std::unique_ptr<location::Location> location;
  std::optional<Identity> identity;  // none: empty, or unreadable
  std::optional<std::string> problem;
  bool foreign = false;  // the problem: it holds something that is not a log's
  bool locked = true;    // else its identity only tells whose seat it is, which nobody else may take
};

Result<void> check_names(const Locations& locations) {
  if (locations.empty()) return fail(Error::Kind::kUsage, "a log needs at least one location");
  if (locations.size() > kMaxReplicas) {
    return fail(Error::Kind::kUsage, fmt::format("a log has at most {} locations", kMaxReplicas));
  }
  for (std::size_t i = 0; i < locations.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (locations[i]->name() != locations[k]->name()) continue;
      return fail(Error::Kind::kUsage, fmt::format("{} is given twice", locations[i]->name()));
    }
  }
  return {};
}

Result<bool> is_empty(location::Location& location) {
  const auto segments = location.segments();
  if (!segments) return std::unexpected(segments.error());
  const auto blobs = location.blobs();
  if (!blobs) return std::unexpected(blobs.error());
  return segments->empty() && blobs->empty();
}

// Damage, I/O errors and foreign content (a disk that is not mounted) are this location's problem; a newer one stops
// everything.
Result<Found> identify(std::unique_ptr<location::Location> location) {
  Found found{std::move(location), std::nullopt, std::nullopt, false};
  const std::string& name = found.location->name();
  auto blob = found.location->read_blob(kIdentityBlob);
  if (!blob) {
    found.problem = blob.error().message;
    return found;
  }
  if (*blob) {
    auto identity = decode_identity(**blob, name);
    if (identity) {
      found.identity = std::move(*identity);
    } else if (identity.error().kind == Error::Kind::kIncompatible) {
      return std::unexpected(identity.error());
    } else {
      found.problem = identity.error().message;
    }
    return found;
  }
  const auto empty = is_empty(*found.location);
  if (!empty) {
    found.problem = empty.error().message;
  } else if (!*empty) {
    found.problem = fmt::format(
        "{}: not empty, and no log's identity in it: is its disk mounted? Else give an empty directory", name);
    found.foreign = true;
  }
  return found;
}

std::optional<Identity> identity_of(location::Location& location) {
  const auto blob = location.read_blob(kIdentityBlob);
  if (!blob || !*blob) return std::nullopt;
  auto identity = decode_identity(**blob, location.name());
  return identity ? std::optional(std::move(*identity)) : std::nullopt;
}

Result<std::vector<Found>> lock_and_identify(Locations locations, Duration lock_bound) {
  std::vector<Found> all;
  for (auto& location : locations) {
    const auto locked = location->lock(lock_bound);
    // Two owners are a mistake to stop at. All else is this location's own problem.
    if (!locked && locked.error().kind == Error::Kind::kBusy) return std::unexpected(locked.error());
    const bool foreign = !locked && locked.error().kind == Error::Kind::kIncompatible;
    if (locked) {
      auto found = identify(std::move(location));
      if (!found) return std::unexpected(found.error());
      all.push_back(std::move(*found));
      continue;
    }
    Found found{std::move(location), std::nullopt, locked.error().message, foreign, false};
    if (!foreign) found.identity = identity_of(*found.location);
    all.push_back(std::move(found));
  }
  return all;
}

Result<void> write_identity(location::Location& location, const Identity& identity) {
  return location.write_blob(kIdentityBlob, encode(identity));
}

Result<Membership> format(std::vector<Found> all, const Options& options, const Entropy& entropy) {
  Membership membership;
  Identity& identity = membership.identity;
  const auto replicas = static_cast<unsigned>(all.size());
  identity.log_id = entropy.log_id;
  identity.segment_size = options.segment_size;
  identity.stored_on = options.stored_on == 0 ? default_stored_on(replicas) : options.stored_on;
  if (identity.stored_on > replicas) {
    return fail(Error::Kind::kUsage, fmt::format("stored on {} of {} locations: give more locations, or lower it",
                                                 identity.stored_on, replicas));
  }
  identity.secrets = entropy.secrets;
  for (std::size_t i = 0; i < all.size(); ++i) identity.members.push_back(entropy.member_id(i));
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].problem) return fail(Error::Kind::kIo, *all[i].problem);
    identity.index = static_cast<std::uint32_t>(i);
    if (auto done = write_identity(*all[i].location, identity); !done) return std::unexpected(done.error());
    Member member;
    member.name = all[i].location->name();
    member.location = std::move(all[i].location);
    member.id = identity.members[i];
    membership.members.push_back(std::move(member));
  }
  if (options.on_format) options.on_format(identity.stored_on, replicas);
  return membership;
}

// The highest generation among full members. One that could not be locked may know of a change that the others missed.
const Found* newest_member(const std::vector<Found>& all, bool locked) {
  const Found* best = nullptr;
  for (const Found& found : all) {
    if (found.locked != locked || !found.identity || found.identity->refilling) continue;
    if (best == nullptr || found.identity->generation > best->identity->generation) best = &found;
  }
  return best;
}

// The one in force, and `changing`: one that could not be locked says more than those that could.
Result<Identity> choose_identity(std::vector<Found>& all, const Options& options, bool& changing) {
  const Found* best = newest_member(all, true);
  if (best == nullptr) best = newest_member(all, false);
  if (best == nullptr) {
    const auto foreign = std::ranges::find_if(all, &Found::foreign);
    if (foreign != all.end()) return fail(Error::Kind::kIncompatible, *foreign->problem);
    std::string problems;
    for (const Found& found : all) {
      if (found.problem) problems += fmt::format("{}{}", problems.empty() ? "" : "; ", *found.problem);
    }
    if (problems.empty()) problems = "only locations that are still being refilled were given";
    return fail(Error::Kind::kUnavailable, problems);
  }
  for (Found& found : all) {
    if (!found.identity || found.identity->log_id == best->identity->log_id) continue;
    if (!found.locked) {  // and is nobody's here
      found.identity.reset();
      continue;
    }
    return fail(
        Error::Kind::kIncompatible,
        fmt::format("{} belongs to log {}, {} to log {}: give the locations of one log", best->location->name(),
                    to_string(best->identity->log_id), found.location->name(), to_string(found.identity->log_id)));
  }
  if (options.stored_on != 0 && options.stored_on != best->identity->stored_on) {
    return fail(Error::Kind::kUsage,
                fmt::format("this log was formatted to be stored on {} of {} locations, not {}",
                            best->identity->stored_on, best->identity->members.size(), options.stored_on));
  }
  const Found* unlocked = newest_member(all, false);
  changing = unlocked != nullptr && (!best->locked || unlocked->identity->generation > best->identity->generation);
  return *(changing ? unlocked : best)->identity;
}

// Locations that say who they are go to their places. One that could not be locked is there, and failed.
Result<void> seat_identified(std::vector<Found>& all, Membership& membership) {
  for (Found& found : all) {
    if (!found.identity) continue;
    const Identity& own = *found.identity;
    if (own.index >= membership.members.size()) {
      if (!found.locked) {
        found.identity.reset();
        continue;
      }
      return fail(Error::Kind::kCorrupt, fmt::format("{}: no such member in this log", found.location->name()));
    }
    Member& seat = membership.members[own.index];
    if (!own.refilling && own.own_id() != membership.identity.members[own.index]) {
      found.problem = fmt::format("{}: another location has taken its place in this log: leave it out, or empty it",
                                  found.location->name());
      continue;
    }
    if (seat.location != nullptr) {
      return fail(Error::Kind::kUsage, fmt::format("{} and {} are the same location of this log (number {})", seat.name,
                                                   found.location->name(), own.index));
    }
    seat.name = found.location->name();
    seat.location = std::move(found.location);
    seat.id = own.own_id();
    seat.refilling = own.refilling;
    if (found.problem) seat.fail(*found.problem);
  }
  return {};
}

Member* free_seat(Membership& membership) {
  const auto free = std::ranges::find_if(membership.members, [](const Member& m) { return m.location == nullptr; });
  return free == membership.members.end() ? nullptr : &*free;
}

// Formatting was cut short: no owner has ever started.
bool never_started(const Membership& membership) {
  for (const Member& member : membership.members) {
    if (member.location == nullptr) continue;
    if (!member.usable()) return false;
    const auto promise = member.location->read_blob(kPromiseBlob);
    const auto segments = member.location->segments();
    if (!promise || *promise || !segments || !segments->empty()) return false;
  }
  return true;
}

Result<void> seat_empty(std::vector<Found>& all, Membership& membership, bool changing, const Options& options,
                        const Entropy& entropy) {
  // Only where all are there: one that is missing may have been started without these.
  const auto empty = std::ranges::count_if(all, [](const Found& f) { return f.location != nullptr && !f.problem; });
  const auto seated = std::ranges::count_if(membership.members, [](const Member& m) { return m.location != nullptr; });
  const bool all_there = static_cast<std::size_t>(empty + seated) == membership.members.size();
  const bool finish_formatting = all_there && never_started(membership);
  const auto unknown =
      std::ranges::find_if(all, [](const Found& f) { return f.location != nullptr && f.problem && !f.identity; });
  const auto replicas = static_cast<unsigned>(membership.members.size());
  const unsigned needed = read_quorum(replicas, membership.identity.stored_on);
  const auto readable = static_cast<unsigned>(
      std::ranges::count_if(membership.members, [](const Member& m) { return m.usable() && !m.refilling; }));
  for (Found& found : all) {
    if (found.location == nullptr || found.problem) continue;
    // Which seat is the unknown one's? A healthy location that is away for a moment must find its own again.
    if (unknown != all.end()) {
      found.problem = fmt::format(
          "{}: is empty, and in whose place it is to be refilled cannot be told beside {}: leave "
          "that one out, or mend it",
          found.location->name(), unknown->location->name());
      continue;
    }
    if (changing) {
      found.problem = fmt::format(
          "{}: is empty, and the newest list of this log's locations is at one that cannot be "
          "used: leave the empty one out, or mend the other",
          found.location->name());
      continue;
    }
    if (!finish_formatting && readable < needed) {
      found.problem = fmt::format("{}: is empty, and can be refilled only beside {} that are whole",
                                  found.location->name(), needed);
      continue;
    }
    Member* seat = free_seat(membership);
    if (seat == nullptr) {
      return fail(Error::Kind::kUsage, fmt::format("{}: this log has {} locations and all of them are given already",
                                                   found.location->name(), membership.members.size()));
    }
    Identity identity = membership.identity;
    identity.index = static_cast<std::uint32_t>(seat - membership.members.data());
    identity.refilling = !finish_formatting;
    if (identity.refilling) identity.members[identity.index] = entropy.member_id(identity.index);
    seat->name = found.location->name();
    seat->id = identity.own_id();
    seat->refilling = identity.refilling;
    seat->location = std::move(found.location);
    if (seat->refilling && options.on_replace) options.on_replace(seat->name);
    if (auto done = write_identity(*seat->location, identity); !done) seat->fail(done.error().message);
  }
  return {};
}

Result<void> seat_broken(std::vector<Found>& all, Membership& membership) {
  for (Found& found : all) {
    if (found.location == nullptr) continue;
    Member* seat = free_seat(membership);
    if (seat == nullptr) return fail(Error::Kind::kUsage, *found.problem);
    seat->name = found.location->name();
    seat->location = std::move(found.location);
    seat->fail(*found.problem);
  }
  for (std::size_t i = 0; i < membership.members.size(); ++i) {
    Member& member = membership.members[i];
    if (member.location != nullptr) continue;
    member.name = fmt::format("location {}", i);
    member.fail("not given");
  }
  return {};
}

// Whoever was away while the membership changed learns of it.
void spread_identity(Membership& membership, const std::vector<std::uint64_t>& generations) {
  for (std::size_t i = 0; i < membership.members.size(); ++i) {
    Member& member = membership.members[i];
    if (!member.usable() || member.refilling || generations[i] == membership.identity.generation) continue;
    Identity identity = membership.identity;
    identity.index = static_cast<std::uint32_t>(i);
    if (auto done = write_identity(*member.location, identity); !done) member.fail(done.error().message);
  }
}

}  // namespace

Entropy::Entropy(std::span<const std::byte, 96> random) {
  std::size_t at = 0;
  const auto take = [&](auto& out) {
    std::memcpy(&out, random.data() + at, sizeof out);
    at += sizeof out;
  };
  take(epoch_id);
  take(log_id);
  for (Secret* secret : {&secrets.mac, &secrets.isn, &secrets.timestamp, &secrets.cookie}) take(secret->key);
  std::uint64_t rest = 0;
  take(rest);
  for (int i = 0; i < 2; ++i) {
    std::array<std::byte, 17> input;
    store_le<std::uint64_t>(input.data(), rest);
    store_le<std::uint64_t>(input.data() + 8, epoch_id);
    input[16] = static_cast<std::byte>(i);
    store_le<std::uint64_t>(seed_.key.data() + 8 * i, prf(secrets.mac, input));
  }
}

std::uint64_t Entropy::member_id(std::size_t index) const {
  std::array<std::byte, 8> input;
  store_le<std::uint64_t>(input.data(), index);
  return prf(seed_, input);
}

Result<Membership> establish(Locations locations, const Options& options, const Entropy& entropy, Duration lock_bound) {
  if (auto sane = check_names(locations); !sane) return std::unexpected(sane.error());
  auto all = lock_and_identify(std::move(locations), lock_bound);
  if (!all) return std::unexpected(all.error());
  if (std::ranges::all_of(*all, [](const Found& f) { return !f.identity && !f.problem; })) {
    return format(std::move(*all), options, entropy);
  }
  bool changing = false;
  auto identity = choose_identity(*all, options, changing);
  if (!identity) return std::unexpected(identity.error());
  Membership membership;
  membership.identity = std::move(*identity);
  membership.members.resize(membership.identity.members.size());
  std::vector<std::uint64_t> generations(membership.members.size(), 0);
  for (const Found& found : *all) {
    if (found.identity && found.identity->index < generations.size()) {
      generations[found.identity->index] = found.identity->generation;
    }
  }
  if (auto done = seat_identified(*all, membership); !done) return std::unexpected(done.error());
  if (auto done = seat_empty(*all, membership, changing, options, entropy); !done) return std::unexpected(done.error());
  if (auto done = seat_broken(*all, membership); !done) return std::unexpected(done.error());
  spread_identity(membership, generations);
  return membership;
}

// Order matters: the others learn first, so that the lost member can never again be taken for one together with
// somebody who knows nothing of its replacement (quorum.h, membership_quorum).
void admit_refilled(Membership& membership, ReplicaSet complete) {
  Identity changed = membership.identity;
  ++changed.generation;
  std::vector<std::size_t> admitted;
  for (std::size_t i = 0; i < membership.members.size(); ++i) {
    Member& member = membership.members[i];
    if (!member.usable() || !member.refilling) continue;
    if ((complete >> i & 1U) == 0) continue;
    changed.members[i] = member.id;
    admitted.push_back(i);
  }
  if (admitted.empty()) return;
  const bool known_already = changed.members == membership.identity.members;
  if (known_already) changed.generation = membership.identity.generation;
  unsigned informed = 0;
  for (std::size_t i = 0; i < membership.members.size(); ++i) {
    Member& member = membership.members[i];
    if (!member.usable() || member.refilling || member.state != LocationState::kActive) continue;
    changed.index = static_cast<std::uint32_t>(i);
    if (auto done = write_identity(*member.location, changed); !done) {
      member.fail(done.error().message);
    } else {
      ++informed;
    }
  }
  const auto replicas = static_cast<unsigned>(membership.members.size());
  const bool enough = informed >= membership_quorum(replicas, membership.identity.stored_on);
  membership.identity = changed;
  for (const std::size_t i : admitted) {
    Member& member = membership.members[i];
    if (!enough) {
      member.state = LocationState::kBehind;
      member.reason = "refilled, but too few other locations are there to make it a member";
      continue;
    }
    changed.index = static_cast<std::uint32_t>(i);
    if (auto done = write_identity(*member.location, changed); !done) {
      member.fail(done.error().message);
      continue;
    }
    member.refilling = false;
  }
}

}  // namespace holdfast::log
