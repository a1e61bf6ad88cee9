// What of a pool is pure: its address, its head's bytes, its lease.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "location/rados/address.h"
#include "location/rados/head.h"
#include "location/rados/lease.h"

namespace holdfast::location::rados {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// ---- Address ----

TEST(RadosAddress, SaysPoolNamespaceAndTheRest) {
  const auto plain = parse_address("rados:hf");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->pool, "hf");
  EXPECT_EQ(plain->name_space, "");
  EXPECT_EQ(plain->conf, "/etc/ceph/ceph.conf");
  EXPECT_EQ(plain->id, "admin");
  EXPECT_EQ(plain->log, "log");
  EXPECT_EQ(plain->copies, 2U);
  EXPECT_EQ(plain->place(), "rados:hf");

  const auto all = parse_address("rados:hf/eu-1?conf=/a b/c.conf&id=node&keyring=/k&log=orders&copies=3");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->name_space, "eu-1");
  EXPECT_EQ(all->conf, "/a b/c.conf");
  EXPECT_EQ(all->id, "node");
  EXPECT_EQ(all->keyring, "/k");
  EXPECT_EQ(all->copies, 3U);
  EXPECT_EQ(all->place(), "rados:hf/eu-1?log=orders");
}

TEST(RadosAddress, RefusesWhatIsNoneAndSaysWhatWouldBe) {
  for (const char* text : {"",
                           "/var/lib",
                           "rados",
                           "rados:",
                           "rados:/n",
                           "rados:a/",
                           "rados:a/b/c",
                           "rados:.a",
                           "rados:a b",
                           "rados:a?log=",
                           "rados:a?log=x/y",
                           "rados:a?id=",
                           "rados:a?conf=",
                           "rados:a?conf",
                           "rados:a?nonsense=1",
                           "rados:a?&",
                           "rados:a?id=\n",
                           "rados:a?copies=",
                           "rados:a?copies=0",
                           "rados:a?copies=17",
                           "rados:a?copies=2x",
                           "rados:a?copies=-1",
                           "rados:a?copies=99999999999"}) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_THAT(address.error(), HasSubstr("rados:POOL[/NAMESPACE]")) << text;
  }
  EXPECT_FALSE(parse_address("rados:" + std::string(65, 'a')));
  EXPECT_TRUE(parse_address("rados:" + std::string(64, 'a')));
}

// ---- Head ----

Owner owner() {
  return {.state = Owner::State::kActive,
          .identity = "0123abcd",
          .host = "db1",
          .process = 77,
          .client = "10.0.0.1:0/123",
          .mac = "02:00:00:00:00:01",
          .lease = 2'000'000'000,
          .renewal = 5,
          .serves = "10.77.0.2/24,store:7000"};
}

Finished head_read() {
  Finished read;
  read.attributes = {{"epoch", encode_epoch(7)}, {"owner", encode(owner())}};
  read.entries["segment-000000000000000a"] = encode(SegmentEntry{SegmentState::kMade, 4096});
  read.entries["blob-identity"] = {std::byte{1}, std::byte{2}};
  return read;
}

TEST(PoolHead, IsReadAsItWasWritten) {
  const auto head = decode_head(head_read(), "rados:hf");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->epoch, 7U);
  EXPECT_EQ(head->owner, owner());
  EXPECT_EQ(head->segments.at(10), (SegmentEntry{SegmentState::kMade, 4096}));
  EXPECT_EQ(head->blobs.at("identity").size(), 2U);
}

TEST(PoolHead, HasTheBytesOfTheSpecification) {
  EXPECT_EQ(head_object("log"), "log.head");
  EXPECT_EQ(segment_object("log", SegmentNumber{0xAB}), "log.segment-00000000000000ab");
  EXPECT_EQ(segment_entry(SegmentNumber{0xAB}), "segment-00000000000000ab");
  EXPECT_EQ(blob_entry("promise"), "blob-promise");
  EXPECT_EQ(encode_epoch(7), "00000000000000000007");
  EXPECT_EQ(encode(SegmentEntry{SegmentState::kRemoving, 0x0102}),
            (std::vector<std::byte>{std::byte{3}, std::byte{2}, std::byte{1}, {}, {}, {}, {}, {}, {}}));
  EXPECT_EQ(encode(owner()),
            "state=active\nidentity=0123abcd\nhost=db1\nprocess=77\nclient=10.0.0.1:0/123\nmac=02:00:00:00:00:01\n"
            "serves=10.77.0.2/24,store:7000\nlease=2000000000\nrenewal=5\n");
}

TEST(PoolHead, ThatMakesNoSenseIsRefused) {
  const auto kind = [](auto change) {
    Finished read = head_read();
    change(read);
    const auto head = decode_head(read, "rados:hf");
    return head ? std::optional<Error::Kind>() : head.error().kind;
  };
  const auto with_epoch = [&](const std::string& text) {
    return kind([&](Finished& read) { read.attributes["epoch"] = text; });
  };
  const auto with_owner = [&](const std::string& text) {
    return kind([&](Finished& read) { read.attributes["owner"] = text; });
  };
  const auto with_entry = [&](const std::string& key, std::vector<std::byte> bytes) {
    return kind([&](Finished& read) { read.entries[key] = std::move(bytes); });
  };
  EXPECT_EQ(kind([](Finished& read) { read.attributes.erase("epoch"); }), Error::Kind::kIncompatible);
  // No guard would ever meet what is not written as we write it.
  for (const std::string& epoch :
       {std::string(), std::string("7"), std::string("-0000000000000000007"), std::string("0000000000000000000x"),
        encode_epoch(0), encode_epoch(std::numeric_limits<std::uint64_t>::max()), std::string(20, '9'),
        encode_epoch(7) + " "}) {
    EXPECT_EQ(with_epoch(epoch), Error::Kind::kCorrupt) << epoch;
  }
  for (const std::string& text :
       {std::string(), std::string("state"), std::string("state=asleep\n"), std::string("host=a\n"),
        std::string("state=active\nhost=a b\n"), std::string("state=active\nhost=a\x1b[2J\n"),
        std::string("state=active\nprocess=-1\n"), std::string("state=active\nlease=99999999999999999999\n"),
        std::string("state=active\nhost=") + std::string(5000, 'a')}) {
    EXPECT_EQ(with_owner(text), Error::Kind::kCorrupt) << text;
  }
  EXPECT_EQ(with_owner("state=released\nnew=thing\n"), std::nullopt);
  const auto made = encode(SegmentEntry{SegmentState::kMade, 4096});
  EXPECT_EQ(with_entry("segment-000000000000000b", made), std::nullopt);
  EXPECT_EQ(with_entry("segment-000000000000000B", made), Error::Kind::kCorrupt);
  EXPECT_EQ(with_entry("segment-b", made), Error::Kind::kCorrupt);
  EXPECT_EQ(with_entry("segment-000000000000000g", made), Error::Kind::kCorrupt);
  EXPECT_EQ(with_entry("something", made), Error::Kind::kIncompatible);
  EXPECT_EQ(with_entry("segment-000000000000000b", {}), Error::Kind::kCorrupt);
  // A newer version's: what it means is not known, and nothing is damaged.
  for (const auto& [state, expected] :
       {std::pair(std::byte{0}, Error::Kind::kCorrupt), std::pair(std::byte{5}, Error::Kind::kIncompatible),
        std::pair(std::byte{255}, Error::Kind::kIncompatible)}) {
    auto bytes = made;
    bytes[0] = state;
    EXPECT_EQ(with_entry("segment-000000000000000b", bytes), expected);
  }
}

TEST(PoolHead, OfANewerFormatIsRefusedWhateverElseIsThere) {
  const auto with_format = [](const std::string& text) {
    Finished read = head_read();
    read.attributes["format"] = text;
    return decode_head(read, "rados:hf");
  };
  EXPECT_TRUE(decode_head(head_read(), "rados:hf")) << "none: the first";
  EXPECT_TRUE(with_format("1"));
  for (const char* text : {"", "0", "-1", "1 ", "one", "99999999999999999999"}) {
    const auto head = with_format(text);
    ASSERT_FALSE(head) << text;
    EXPECT_EQ(head.error().kind, Error::Kind::kCorrupt) << text;
  }
  Finished read = head_read();
  read.attributes["format"] = "2";
  read.attributes["owner"] = "of another kind";
  const auto head = decode_head(read, "rados:hf");
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().kind, Error::Kind::kIncompatible);
  EXPECT_EQ(head.error().message,
            "rados:hf: written by a newer version of holdfast (format 2, this one knows 1): upgrade this node first");
}

TEST(PoolHead, OfAHostWithAStrangeNameCanBeRead) {
  Owner strange = owner();
  strange.host = "my host\nrenewal=99\xc3\xbc" + std::string(9000, 'x');
  Finished read = head_read();
  read.attributes["owner"] = encode(strange);
  const auto head = decode_head(read, "rados:hf");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->owner->renewal, 5U);
  EXPECT_THAT(head->owner->host, testing::StartsWith("my?host?renewal=99??xxx"));
}

// ---- Lease ----

constexpr Time at(int ms) { return Time{} + std::chrono::hours(5) + milliseconds(ms); }

TEST(PoolLease, IsGoodForSevenEighthsFromWhenARenewalThatCameThroughWasBegun) {
  Lease lease(milliseconds(800));
  EXPECT_FALSE(lease.good(at(0)));
  EXPECT_EQ(lease.due(), kNever);
  lease.begin(at(0));
  EXPECT_TRUE(lease.good(at(699)));
  EXPECT_FALSE(lease.good(at(700)));
  EXPECT_EQ(lease.due(), at(160));
  lease.began_renewal(at(160));
  EXPECT_EQ(lease.due(), at(320));
  EXPECT_FALSE(lease.good(at(700)));  // not before the answer
  lease.renewed(at(160));
  EXPECT_TRUE(lease.good(at(859)));
  EXPECT_FALSE(lease.good(at(860)));
  lease.renewed(at(20));  // an older one that took longer
  EXPECT_TRUE(lease.good(at(859)));
}

Head seen(std::uint64_t epoch, std::uint64_t renewal, int lease_ms = 400) {
  Head head;
  head.epoch = epoch;
  head.owner = owner();
  head.owner->renewal = renewal;
  head.owner->lease = static_cast<std::uint64_t>(Duration(milliseconds(lease_ms)).count());
  return head;
}

TEST(PoolLeaseWatch, TakesWhatHasNoOwnerAtOnce) {
  LeaseWatch watch;
  EXPECT_TRUE(watch.free(Head(), at(0), at(1)));
  Head released = seen(1, 1);
  released.owner->state = Owner::State::kReleased;
  EXPECT_TRUE(watch.free(released, at(0), at(1)));
  Head nobody = seen(1, 1);
  nobody.owner.reset();
  EXPECT_TRUE(watch.free(nobody, at(0), at(1)));
}

TEST(PoolLeaseWatch, CountsAWholeLeaseFromTheLastChangeThatItHasSeen) {
  LeaseWatch watch;
  EXPECT_FALSE(watch.free(seen(1, 1), at(0), at(10)));
  EXPECT_FALSE(watch.free(seen(1, 1), at(409), at(411)));
  EXPECT_FALSE(watch.free(seen(1, 2), at(412), at(420)));  // renewed
  EXPECT_FALSE(watch.free(seen(1, 2), at(819), at(819)));
  EXPECT_FALSE(watch.free(seen(2, 2), at(820), at(830)));  // another owner
  EXPECT_FALSE(watch.free(seen(2, 2), at(1229), at(1229)));
  EXPECT_TRUE(watch.free(seen(2, 2), at(1230), at(1231)));
}

TEST(PoolLeaseWatch, DoesNotCountTheTimeInWhichItWasStopped) {
  LeaseWatch watch;
  EXPECT_FALSE(watch.free(seen(1, 1), at(0), at(10)));
  // Asked for at 20, and looked at a minute later: the owner may have renewed it a hundred times.
  EXPECT_FALSE(watch.free(seen(1, 1), at(20), at(60'000)));
}

TEST(PoolLeaseWatch, BelievesNoAbsurdLease) {
  EXPECT_EQ(LeaseWatch::lease_of(seen(1, 1, 0).owner.value()), milliseconds(50));
  Owner absurd = owner();
  absurd.lease = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(LeaseWatch::lease_of(absurd), std::chrono::minutes(10));
}

}  // namespace
}  // namespace holdfast::location::rados
