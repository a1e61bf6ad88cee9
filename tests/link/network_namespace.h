// A network of the test's own: a namespace that ends with the process, whatever happens to it.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace holdfast::link {

class NetworkNamespaceTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << "tests of the link need CAP_SYS_ADMIN and CAP_NET_ADMIN: run them as root";
    // No neighbour discovery between our frames.
    for (const char* which : {"all", "default"}) {
      std::ofstream(std::string("/proc/sys/net/ipv6/conf/") + which + "/disable_ipv6") << "1";
    }
    run("ip link set lo up");
  }
  static void run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }
};

}  // namespace holdfast::link
