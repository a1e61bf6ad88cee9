#include "node/device.h"

#include <gtest/gtest.h>
#include <net/if.h>

#include "link/interface.h"
#include "link/network_namespace.h"

namespace holdfast::node {
namespace {

class DeviceTest : public link::NetworkNamespaceTest {
 protected:
  static std::unique_ptr<link::Tap> open() {
    auto tap = attach({.name = "hf7"});
    EXPECT_TRUE(tap) << tap.error().message;
    return tap ? *std::move(tap) : nullptr;
  }
  static bool exists() { return ::if_nametoindex("hf7") != 0; }
};

TEST_F(DeviceTest, OneThatIsKeptUntilDoneOutlivesItsProcessAndIsLetGoByAnother) {
  auto first = open();
  ASSERT_TRUE(keep_until_done(*first));
  first.reset();
  ASSERT_TRUE(exists());
  auto second = open();
  ASSERT_TRUE(keep_until_done(*second));
  ASSERT_TRUE(let_go(*second));
  second.reset();
  EXPECT_FALSE(exists());
}

TEST_F(DeviceTest, OneThatWasNeverKeptGoesWithItsProcess) {
  auto tap = open();
  ASSERT_TRUE(let_go(*tap));
  tap.reset();
  EXPECT_FALSE(exists());
}

TEST_F(DeviceTest, OneThatExistedBeforeIsLeftAsItWas) {
  run("ip tuntap add hf7 mode tap");
  run("ip link set hf7 alias 'the bridge end'");
  auto tap = open();
  ASSERT_TRUE(keep_until_done(*tap));
  ASSERT_TRUE(let_go(*tap));
  tap.reset();
  EXPECT_TRUE(exists());
  EXPECT_EQ(link::alias_of("hf7").value(), "the bridge end");
}

TEST_F(DeviceTest, OneThatIsKeptForGoodIsNoLongerLetGo) {
  auto sender = open();
  ASSERT_TRUE(keep_until_done(*sender));
  sender.reset();
  auto node = open();
  ASSERT_TRUE(keep_for_good(*node));
  node.reset();
  sender = open();
  ASSERT_TRUE(let_go(*sender));
  sender.reset();
  EXPECT_TRUE(exists());
}

}  // namespace
}  // namespace holdfast::node
