#include "cluster/placement.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace holdfast::cluster {
namespace {

// Members that do at once what they are told; the moves of one round are begun together.
class Service {
 public:
  explicit Service(std::uint32_t buckets) : buckets_(buckets) {}

  void join(const std::string& identity) { members_[identity].identity = identity; }
  void die(const std::string& identity) { members_.erase(identity); }
  void leave(const std::string& identity) { members_[identity].leaving = true; }

  // One step of everything; the number of moves that were under way.
  std::size_t round() {
    const auto steps = next_steps(view(), buckets_);
    std::map<Bucket, std::string> takers;
    std::map<std::string, int> taken, given;
    std::size_t moves = 0;
    for (const auto& step : steps) {
      EXPECT_TRUE(takers.emplace(step.bucket, step.to).second) << "two takers of bucket " << step.bucket;
      EXPECT_FALSE(members_.at(step.to).leaving);
      if (step.from.empty()) continue;
      ++moves;
      EXPECT_EQ(++taken[step.to], 1) << "two moves to one node at once";
      if (!members_.at(step.from).leaving) {
        EXPECT_EQ(++given[step.from], 1) << "two moves from one node at once";
      }
      EXPECT_TRUE(has(step.from, step.bucket));
    }
    for (const auto& step : steps) {
      if (!step.from.empty()) std::erase(members_.at(step.from).serving, step.bucket);
      members_.at(step.to).serving.push_back(step.bucket);
    }
    steps_ += steps.size();
    moves_ += moves;
    std::erase_if(members_, [](const auto& member) { return member.second.leaving && member.second.serving.empty(); });
    return steps.size();
  }

  void settle() {
    for (std::uint32_t rounds = 0; round() > 0; ++rounds) ASSERT_LT(rounds, 2 * buckets_) << "no end of moves";
    check_balanced();
  }

  void check_balanced() const {
    std::set<Bucket> served;
    std::size_t least = buckets_, most = 0;
    for (const auto& [identity, member] : members_) {
      least = std::min(least, member.serving.size());
      most = std::max(most, member.serving.size());
      for (const Bucket bucket : member.serving) EXPECT_TRUE(served.insert(bucket).second) << "two owners";
    }
    if (members_.empty()) return;
    EXPECT_EQ(served.size(), buckets_);
    EXPECT_LE(most - least, 1U);
  }

  std::vector<Placed> view() const {
    std::vector<Placed> placed;
    for (const auto& [identity, member] : members_) placed.push_back(member);
    return placed;
  }
  bool has(const std::string& identity, Bucket bucket) const {
    return std::ranges::count(members_.at(identity).serving, bucket) > 0;
  }
  std::size_t moves() const { return moves_; }
  std::size_t steps() const { return steps_; }
  const std::map<std::string, Placed>& members() const { return members_; }

 private:
  std::uint32_t buckets_;
  std::map<std::string, Placed> members_;
  std::size_t moves_ = 0, steps_ = 0;
};

std::string name_of(unsigned number) { return fmt::format("{:016x}", number * 0x9e3779b97f4a7c15ULL); }

TEST(Placement, TheFirstTakesAll) {
  Service service(12);
  service.join("a");
  EXPECT_EQ(service.round(), 12U);
  service.settle();
}

TEST(Placement, AJoinMovesItsShareAndNoMore) {
  for (unsigned members = 1; members < 8; ++members) {
    Service service(64);
    for (unsigned n = 0; n < members; ++n) service.join(name_of(n));
    service.settle();
    const std::size_t before = service.moves();
    service.join(name_of(members));
    service.settle();
    EXPECT_LE(service.moves() - before, 64 / (members + 1) + 1) << members;
  }
}

TEST(Placement, ADeathMovesOnlyWhatItHad) {
  Service service(60);
  for (unsigned n = 0; n < 5; ++n) service.join(name_of(n));
  service.settle();
  const std::size_t moves = service.moves(), steps = service.steps();
  service.die(name_of(2));
  service.settle();
  EXPECT_EQ(service.steps() - steps, 12U);
  EXPECT_EQ(service.moves(), moves);
}

TEST(Placement, OneThatLeavesIsEmptied) {
  Service service(12);
  for (unsigned n = 0; n < 3; ++n) service.join(name_of(n));
  service.settle();
  const std::size_t before = service.moves();
  service.leave(name_of(1));
  service.settle();
  EXPECT_EQ(service.members().size(), 2U);
  EXPECT_EQ(service.moves() - before, 4U);
}

TEST(Placement, WhenAllLeaveNothingMoves) {
  Service service(4);
  service.join("a");
  service.settle();
  service.leave("a");
  EXPECT_EQ(service.round(), 0U);
}

TEST(Placement, WhatHasBegunIsWaitedFor) {
  // "b" asks for bucket 3 already: nothing else is to begin for either.
  std::vector<Placed> members(2);
  members[0] = {.identity = "a", .leaving = false, .serving = {0, 1, 2, 3, 4, 5}, .acquiring = {}};
  members[1] = {.identity = "b", .leaving = false, .serving = {}, .acquiring = {3}};
  EXPECT_TRUE(next_steps(members, 6).empty());
  // "a" has given it back, and "b" has not got it yet.
  members[0].serving = {0, 1, 2, 4, 5};
  EXPECT_TRUE(next_steps(members, 6).empty());
  members[0].serving = {0, 1, 2, 3, 4, 5};
  members[1].acquiring.clear();
  EXPECT_EQ(next_steps(members, 6).size(), 1U);
}

TEST(Placement, TheOrderOfTheMembersDoesNotMatter) {
  std::vector<Placed> members;
  for (unsigned n = 0; n < 5; ++n)
    members.push_back({.identity = name_of(n), .leaving = false, .serving = {}, .acquiring = {}});
  const auto steps = next_steps(members, 40);
  std::ranges::reverse(members);
  EXPECT_EQ(next_steps(members, 40), steps);
}

TEST(Placement, WhateverHappensItConverges) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    Service service(1 + random() % 64);
    unsigned joined = 0;
    for (int event = 0; event < 30; ++event) {
      const auto members = service.view();
      const auto& any = members.empty() ? std::string() : members[random() % members.size()].identity;
      switch (random() % 4) {
        case 0:
        case 1:
          if (members.size() < 9) service.join(name_of(seed * 100 + joined++));
          break;
        case 2:
          if (!any.empty()) service.die(any);
          break;
        default:
          if (!any.empty()) service.leave(any);
      }
      for (auto rounds = random() % 4; rounds > 0; --rounds) service.round();
    }
    service.join(name_of(seed * 100 + joined));  // somebody stays
    service.settle();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace holdfast::cluster
