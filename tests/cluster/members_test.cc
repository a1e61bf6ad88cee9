#include "cluster/members.h"

#include <gtest/gtest.h>

#include <cstring>

namespace holdfast::cluster {
namespace {

using namespace std::chrono_literals;

Member some_member() {
  Member member;
  member.host = "zone-1";
  member.process = 4711;
  member.mac = wire::MacAddress{{2, 0, 0, 0, 0, 1}};
  member.address = "10.77.0.101/24";
  member.lease = 2'000'000'000;
  member.renewal = 17;
  member.leaving = true;
  member.serving = {{0, 3}, {7, 12}};
  member.acquiring = {2, 5};
  return member;
}

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

TEST(Members, EncodedAndDecodedAreTheSame) {
  EXPECT_EQ(decode_member(encode(some_member()), 8), some_member());
  Buckets buckets{.count = 12, .key = {}};
  for (std::size_t i = 0; i < buckets.key.key.size(); ++i) buckets.key.key[i] = std::byte(17 * i);
  EXPECT_EQ(decode_buckets(encode(buckets)), buckets);
}

TEST(Members, WhatANewerVersionAddsIsLeftOut) {
  EXPECT_EQ(decode_member(encode(some_member()) + "colour=green\n", 8), some_member());
}

TEST(Members, NonsenseIsRefused) {
  const std::string good = encode(some_member());
  EXPECT_FALSE(decode_member(good, 7)) << "bucket 7 of 7";
  EXPECT_FALSE(decode_member("", 8)) << "no MAC";
  EXPECT_FALSE(decode_member("mac=ff:ff:ff:ff:ff:ff\n", 8));
  EXPECT_FALSE(decode_member(good + "renewal=x\n", 8));
  EXPECT_FALSE(decode_member(good + "serving=1\n", 8));
  EXPECT_FALSE(decode_member(good + "acquiring=1,,2\n", 8));
  EXPECT_FALSE(decode_member(good + "host=\x01\n", 8));
  for (const char* text : {"", "buckets=4\n", "buckets=0\nkey=00000000000000000000000000000000\n",
                           "buckets=257\nkey=00000000000000000000000000000000\n", "buckets=4\nkey=00\n",
                           "buckets=4\nkey=zz000000000000000000000000000000\n"}) {
    EXPECT_FALSE(decode_buckets(text)) << text;
  }
}

TEST(Members, ARollHasTheMembersAndCountsTheRest) {
  location::rados::Finished read;
  read.attributes[kAttributeService] = encode(Buckets{.count = 8, .key = {}});
  read.entries[member_entry("ab12")] = bytes_of(encode(some_member()));
  read.entries[member_entry("ab13")] = bytes_of("rubbish");
  read.entries["else"] = bytes_of("");
  const auto roll = decode_roll(read, "store");
  ASSERT_TRUE(roll);
  EXPECT_EQ(roll->buckets.count, 8U);
  ASSERT_EQ(roll->members.size(), 1U);
  EXPECT_EQ(roll->members.at("ab12"), some_member());
  EXPECT_EQ(roll->strange, 1U);
  read.attributes.clear();
  EXPECT_FALSE(decode_roll(read, "store"));
}

TEST(MemberWatch, WhoRenewsLives) {
  MemberWatch watch;
  std::map<std::string, Member> members = {{"a", some_member()}};
  Time now = Time{} + 1h;
  for (int i = 0; i < 100; ++i) {
    ++members["a"].renewal;
    watch.see(members, now, now + 1ms);
    EXPECT_TRUE(watch.lives("a"));
    now += 400ms;
  }
  EXPECT_FALSE(watch.lives("b"));
}

TEST(MemberWatch, WhoDoesNotIsDeadByOurClock) {
  MemberWatch watch;
  const std::map<std::string, Member> members = {{"a", some_member()}};
  const Time begun = Time{} + 1h;
  watch.see(members, begun, begun);
  watch.see(members, begun + 1100ms, begun + 1100ms);
  EXPECT_TRUE(watch.lives("a"));
  // Asked for before its time was over: we may have been stopped since.
  watch.see(members, begun + 1100ms, begun + 10s);
  EXPECT_TRUE(watch.lives("a"));
  watch.see(members, begun + 1300ms, begun + 1300ms);
  EXPECT_FALSE(watch.lives("a"));
  EXPECT_FALSE(watch.long_gone("a"));
  watch.see(members, begun + 1h, begun + 1h);
  EXPECT_TRUE(watch.long_gone("a"));
}

}  // namespace
}  // namespace holdfast::cluster
