#include "cluster/membership.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "location/rados/alone.h"
#include "location/rados/head.h"

namespace holdfast::cluster {

using location::rados::ask_alone;
using location::rados::Finished;
using location::rados::ObjectWrite;
using location::rados::Outcome;

namespace {

constexpr int kOpenAttempts = 5;

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::string text_of(const Finished& finished) {
  switch (finished.outcome) {
    case Outcome::kAbsent:
      return "it is gone";
    case Outcome::kUnknown:
      return "no answer in time";
    case Outcome::kFull:
      return "no room";
    case Outcome::kShutOut:
      return "this node is on the cluster's blocklist";
    default:
      return finished.reason.empty() ? "refused" : finished.reason;
  }
}

}  // namespace

Membership::Membership(std::string service, std::string identity, std::unique_ptr<location::rados::ObjectStore> store,
                       Duration lease)
    : service_(std::move(service)), identity_(std::move(identity)), store_(std::move(store)), lease_(lease) {}

Result<Buckets> Membership::open(const Buckets& proposed) {
  const std::string object = members_object(service_);
  Finished last;
  for (int attempt = 0; attempt < kOpenAttempts; ++attempt) {
    last = ask_alone(*store_, members_read(service_));
    if (last.outcome == Outcome::kDone) {
      const auto roll = decode_roll(last, service_);
      if (!roll) return std::unexpected(roll.error());
      if (roll->buckets.count != proposed.count) {
        return fail(
            Error::Kind::kUsage,
            fmt::format("--buckets {}: the service {} has {}, which was settled by its first node: say the same, "
                        "or choose another --service-group",
                        proposed.count, service_, roll->buckets.count));
      }
      if (const auto own = roll->members.find(identity_); own != roll->members.end()) {
        had_ = own->second.serving;
        own_.renewal = own->second.renewal;
      }
      joined_ = write_due_ = read_due_ = store_->now();
      store_->look_at(object, "member");
      return roll->buckets;
    }
    if (last.outcome != Outcome::kAbsent) continue;
    ObjectWrite write;
    write.object = object;
    write.existence = ObjectWrite::Existence::kNew;
    write.attributes = {{kAttributeService, encode(proposed)}};
    last = ask_alone(*store_, write);  // whoever was first: the next read tells
  }
  return fail(Error::Kind::kUnavailable, fmt::format("{}: {}", object, text_of(last)));
}

void Membership::say(Member own) {
  own.renewal = own_.renewal;
  own.lease = static_cast<std::uint64_t>(lease_.count());
  if (own == own_) return;
  own_ = std::move(own);
  unheard_ = true;
  write_due_ = std::min(write_due_, store_->now());
}

void Membership::ask_for(const std::string& group, std::uint64_t epoch) {
  const ObjectWrite write = location::rados::handover_request(group, epoch);
  store_->submit(kErrand, write);
  // Operations on one object are executed in their order: who hears of it finds it.
  store_->notify(write.object);
}

bool Membership::turn() {
  for (const auto& finished : store_->take()) {
    if (finished.tag == kWrite) {
      writing_ = false;
      if (finished.outcome != Outcome::kDone) {
        problem_ = fmt::format("{}: {}", members_object(service_), text_of(finished));
        write_due_ = std::max(write_due_, store_->now() + lease_ / 5);
      } else if (std::exchange(telling_, false)) {
        store_->notify(members_object(service_));
      }
    } else if (finished.tag == kRead) {
      read_ended(finished);
    }
  }
  const Time now = store_->now();
  if (store_->notified()) read_due_ = std::min(read_due_, now);
  if (!writing_ && now >= write_due_) begin_write();
  if (!reading_ && now >= read_due_) begin_read();
  store_->wake_at(deadline());
  return std::exchange(changed_, false);
}

Time Membership::deadline() const { return std::min(writing_ ? kNever : write_due_, reading_ ? kNever : read_due_); }

void Membership::begin_write() {
  ++own_.renewal;
  ObjectWrite write;
  write.object = members_object(service_);
  write.entries = {{member_entry(identity_), bytes_of(encode(own_))}};
  store_->submit(kWrite, write);
  writing_ = true;
  telling_ = std::exchange(unheard_, false) || telling_;
  write_due_ = store_->now() + lease_ / 5;
}

void Membership::begin_read() {
  asked_ = store_->now();
  store_->submit(kRead, members_read(service_));
  reading_ = true;
  read_due_ = asked_ + lease_ / 5;
}

void Membership::read_ended(const Finished& finished) {
  reading_ = false;
  if (finished.outcome != Outcome::kDone) {
    problem_ = fmt::format("{}: {}", members_object(service_), text_of(finished));
    return;
  }
  auto roll = decode_roll(finished, service_);
  if (!roll) {
    problem_ = roll.error().message;
    return;
  }
  problem_.clear();
  const Time now = store_->now();
  seen_at_ = asked_;
  others_ = std::move(roll->members);
  others_.erase(identity_);
  watch_.see(others_, asked_, now);
  settled_ = now >= joined_ + lease_ * 6 / 10;
  changed_ = true;
  remove_long_gone();
}

// Nobody else would: a node that comes back has another identity.
void Membership::remove_long_gone() {
  ObjectWrite write;
  write.object = members_object(service_);
  for (const auto& [identity, member] : others_) {
    if (watch_.long_gone(identity)) write.dropped_entries.push_back(member_entry(identity));
  }
  if (write.dropped_entries.empty()) return;
  store_->submit(kErrand, write);
}

bool Membership::sees() const { return seen_at_ && store_->now() < *seen_at_ + lease_; }

void Membership::leave() {
  while (writing_ || reading_) {
    for (const auto& finished : store_->take()) {
      if (finished.tag == kWrite) writing_ = false;
      if (finished.tag == kRead) reading_ = false;
    }
    if (writing_ || reading_) store_->wait(kNever);
  }
  ObjectWrite write;
  write.object = members_object(service_);
  write.dropped_entries = {member_entry(identity_)};
  (void)ask_alone(*store_, write);
  store_->notify(members_object(service_));
}

}  // namespace holdfast::cluster
