#include "node/values.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

using namespace std::chrono_literals;

TEST(Values, LinkHasADeviceAMacAndAnMtu) {
  const auto plain = parse_link("tap:holdfast0");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->device, "holdfast0");
  EXPECT_EQ(plain->mac, std::nullopt);
  EXPECT_EQ(plain->mtu, 1500);
  const auto full = parse_link("tap:t,mtu=9000,mac=02:00:00:00:00:07");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->mac->to_string(), "02:00:00:00:00:07");
  EXPECT_EQ(full->mtu, 9000);
}

TEST(Values, LinkRefusesWhatIsNoLink) {
  for (const auto* text :
       {"", "holdfast0", "tap:", "tap:name-of-sixteen1", "tap:a/b", "tap:a b", "tap:..", "eth:x", "tap:a,",
        "tap:a,mtu=575", "tap:a,mtu=65536", "tap:a,mtu=", "tap:a,mtu=1500x", "tap:a,mac=01:00:00:00:00:01",
        "tap:a,mac=00:00:00:00:00:00", "tap:a,mac=zz", "tap:a,queues=2"}) {
    EXPECT_FALSE(parse_link(text)) << text;
  }
}

TEST(Values, ServiceHasAKindAndAPort) {
  const auto store = parse_service("store:7000");
  ASSERT_TRUE(store);
  EXPECT_EQ(store->kind, stack::ServiceKind::kStore);
  EXPECT_EQ(store->port.value, 7000);
  EXPECT_EQ(parse_service("echo:65535")->kind, stack::ServiceKind::kEcho);
  for (const auto* text : {"", "store", "store:", "store:0", "store:65536", "store:-1", "store:7x", "client:7", ":7"}) {
    EXPECT_FALSE(parse_service(text)) << text;
  }
}

TEST(Values, SizesTakePowersOf1024) {
  EXPECT_EQ(parse_size("4096", 0, 1U << 20), 4096U);
  EXPECT_EQ(parse_size("64K", 0, 1U << 20), 65536U);
  EXPECT_EQ(parse_size("32MiB", 0, 1ULL << 40), 32ULL << 20);
  EXPECT_EQ(parse_size("2G", 0, 1ULL << 40), 2ULL << 30);
  for (const auto* text : {"", "K", "4 K", "4k", "-1", "1.5M", "99999999999999999999", "17179869184G"}) {
    EXPECT_FALSE(parse_size(text, 0, ~std::uint64_t{0})) << text;
  }
  EXPECT_FALSE(parse_size("63K", 64U << 10, 1U << 20));
  EXPECT_FALSE(parse_size("2M", 64U << 10, 1U << 20));
}

TEST(Values, DurationsHaveAUnit) {
  EXPECT_EQ(parse_duration("500ms", 0s, 1h), Duration(500ms));
  EXPECT_EQ(parse_duration("2s", 0s, 1h), Duration(2s));
  EXPECT_EQ(parse_duration("1m", 0s, 1h), Duration(1min));
  EXPECT_EQ(parse_duration("0", 0s, 1h), Duration(0s));  // the same in every unit
  EXPECT_FALSE(parse_duration("0", 100ms, 1h));
  for (const auto* text : {"", "2", "s", "2 s", "2us", "61m", "99ms", "18446744073709551615h"}) {
    EXPECT_FALSE(parse_duration(text, 100ms, 1h)) << text;
  }
}

TEST(Values, DefaultMacIsALocalUnicastAddressOfItsOwn) {
  const auto a = default_mac({0x0a4d0002});
  EXPECT_FALSE(a.is_multicast());
  EXPECT_EQ(a.to_string(), "02:00:0a:4d:00:02");
  EXPECT_NE(a, default_mac({0x0a4d0003}));
}

TEST(Values, TimesAreWrittenInUtc) {
  EXPECT_EQ(iso_time(1'795'422'660'123'456'789), "2026-11-23T08:31:00.123456Z");
  EXPECT_EQ(iso_time(0), "1970-01-01T00:00:00.000000Z");
}

TEST(Values, SizesForPeopleHaveAUnit) {
  EXPECT_EQ(human_size(1023), "1023 B");
  EXPECT_EQ(human_size(1536), "1.5 KiB");
  EXPECT_EQ(human_size(1ULL << 40), "1.0 TiB");
}

}  // namespace
}  // namespace holdfast::node
