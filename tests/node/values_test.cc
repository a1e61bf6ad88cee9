#include "node/values.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

using namespace std::chrono_literals;

template <class T>
std::string refusal_of(const Parsed<T>& parsed) {
  return parsed ? "(accepted)" : parsed.error();
}

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

TEST(Values, DurationsThatAreWrongAreToldWhatIs) {
  const auto refusal = [](const char* text) { return refusal_of(parse_duration(text, 100ms, 1h)); };
  for (const auto* text : {"-1s", "-0s", "-7h"}) EXPECT_EQ(refusal(text), "must not be negative") << text;
  for (const auto* text : {"0s", "99ms", "61m", "2h", "18446744073709551615h"}) {
    EXPECT_EQ(refusal(text), "must be within 100ms..1h") << text;
  }
  EXPECT_EQ(refusal_of(parse_duration("2m", 0s, 1min)), "must be within 0s..1m");
  EXPECT_EQ(refusal_of(parse_duration("2m", 0s, 90s)), "must be within 0s..90s");
  EXPECT_EQ(refusal("2"), "lacks a unit, as in 2s or 2ms");
  for (const auto* text : {"", "x", "-", "--1s", "-1", "2 s"}) {
    EXPECT_EQ(refusal(text), "is not a duration, such as 500ms or 2s") << text;
  }
}

TEST(Values, AServiceTakesWaysOnceAndBeforeWhatNeedsThem) {
  const auto service = parse_service("store:7,policy=strict,ways=5..9,roll-call-timeout=2s");
  ASSERT_TRUE(service) << service.error();
  EXPECT_EQ(service->ways.min, 5);
  EXPECT_EQ(service->ways.max, 9);
  EXPECT_TRUE(service->ways.strict);
  EXPECT_EQ(service->ways.roll_call_timeout, 2s);
  EXPECT_TRUE(parse_service("store:7,ways=3,policy=strict"));
  EXPECT_EQ(refusal_of(parse_service("store:7,ways=8,ways=9")), "has ways= twice: give it once");
  EXPECT_EQ(refusal_of(parse_service("store:7,ways=8,policy=strict,policy=strict")), "has policy= twice: give it once");
  for (const char* lonely : {"policy=strict", "roll-call-timeout=1s"}) {
    const auto key = std::string(lonely).substr(0, std::string_view(lonely).find('=') + 1);
    EXPECT_EQ(refusal_of(parse_service(std::string("store:7,") + lonely)),
              "has " + key + " without ways=: three ways ask for no copies; give ways=, or leave it out");
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
