#include "wire/address.h"

#include <gtest/gtest.h>

#include "wire/parse_error.h"

namespace holdfast::wire {
namespace {

TEST(MacAddress, ReadsBackWhatItWrites) {
  const MacAddress mac{{0x02, 0x00, 0xab, 0xcd, 0xef, 0x01}};
  EXPECT_EQ(mac.to_string(), "02:00:ab:cd:ef:01");
  EXPECT_EQ(MacAddress::parse("02:00:ab:cd:ef:01"), mac);
  EXPECT_EQ(MacAddress::parse("02:00:AB:CD:EF:01"), mac);
}

TEST(MacAddress, RejectsWhatIsNone) {
  for (const char* text : {"", "02:00:00:00:00:0", "02:00:00:00:00:012", "02-00-00-00-00-01", "02:00:00:00:00:0g",
                           "+2:00:00:00:00:01", "-2:00:00:00:00:01", "0200:00:00:00:001", "02:00:00:00:0:0:1"}) {
    EXPECT_FALSE(MacAddress::parse(text)) << text;
  }
}

TEST(MacAddress, KnowsGroupAddresses) {
  EXPECT_TRUE(kBroadcastMac.is_multicast());
  EXPECT_TRUE((MacAddress{{0x01, 0, 0x5e, 0, 0, 1}}).is_multicast());
  EXPECT_FALSE((MacAddress{{0x02, 0, 0, 0, 0, 1}}).is_multicast());
}

TEST(Ipv4Address, ReadsBackWhatItWrites) {
  for (const char* text : {"0.0.0.0", "10.77.0.2", "192.168.100.200", "255.255.255.255"}) {
    const auto address = Ipv4Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  EXPECT_EQ(Ipv4Address::parse("10.77.0.2")->value, 0x0a4d0002U);
}

TEST(Ipv4Address, RejectsWhatIsNone) {
  for (const char* text :
       {"", "1", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5", ".1.2.3", "1..2.3", "256.1.1.1", "1.2.3.256", "01.2.3.4",
        "1.2.3.4 ", " 1.2.3.4", "1.2.3.a", "-1.2.3.4", "+1.2.3.4", "1.2.3.4294967297"}) {
    EXPECT_FALSE(Ipv4Address::parse(text)) << text;
  }
}

TEST(Ipv4Address, AnErrorNamesTheTextAndShowsAnExample) {
  EXPECT_EQ(Ipv4Address::parse("ten").error(), "\"ten\" is not an IPv4 address, e.g. 10.77.0.2");
}

TEST(Ipv4Address, KnowsWhichOnesAHostCanHave) {
  const auto usable = [](const char* text) { return Ipv4Address::parse(text)->is_unicast_host(); };
  for (const char* text : {"1.0.0.1", "10.77.0.2", "126.1.1.1", "128.0.0.1", "223.255.255.254"})
    EXPECT_TRUE(usable(text));
  for (const char* text :
       {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"}) {
    EXPECT_FALSE(usable(text)) << text;
  }
}

TEST(Ipv4Prefix, HoldsTheAddressesOfItsLink) {
  const auto prefix = Ipv4Prefix::parse("10.77.1.2/23");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->to_string(), "10.77.1.2/23");
  EXPECT_TRUE(prefix->contains(*Ipv4Address::parse("10.77.0.0")));
  EXPECT_TRUE(prefix->contains(*Ipv4Address::parse("10.77.1.255")));
  EXPECT_FALSE(prefix->contains(*Ipv4Address::parse("10.77.2.0")));
  EXPECT_EQ(prefix->broadcast().to_string(), "10.77.1.255");
}

TEST(Ipv4Prefix, AnyLengthFrom0To32) {
  EXPECT_TRUE(Ipv4Prefix::parse("10.77.0.2/0")->contains(Ipv4Address{0xffffffff}));
  EXPECT_FALSE(Ipv4Prefix::parse("10.77.0.2/32")->contains(*Ipv4Address::parse("10.77.0.3")));
  for (const char* text :
       {"10.77.0.2", "10.77.0.2/", "10.77.0.2/33", "10.77.0.2/-1", "10.77.0/24", "10.77.0.2/024", "/24"}) {
    EXPECT_FALSE(Ipv4Prefix::parse(text)) << text;
  }
}

TEST(Endpoint, ReadsBackWhatItWrites) {
  const auto endpoint = Endpoint::parse("10.77.0.1:40000");
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->address.value, 0x0a4d0001U);
  EXPECT_EQ(endpoint->port, Port{40000});
  EXPECT_EQ(endpoint->to_string(), "10.77.0.1:40000");
  for (const char* text : {"10.77.0.1", "10.77.0.1:", "10.77.0.1:65536", "10.77.0.1:1:2", ":80", "10.77.0.1:+80"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

TEST(FourTuple, NamesTheLocalSideFirst) {
  const FourTuple tuple{*Endpoint::parse("10.77.0.2:7"), *Endpoint::parse("10.77.0.1:40000")};
  EXPECT_EQ(tuple.to_string(), "10.77.0.2:7 <- 10.77.0.1:40000");
}

TEST(ParseError, EachHasAName) {
  EXPECT_EQ(to_string(ParseError::kTruncated), "truncated");
  EXPECT_EQ(to_string(ParseError::kBadAddress), "bad address");
}

}  // namespace
}  // namespace holdfast::wire
