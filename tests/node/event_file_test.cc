#include "node/event_file.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

namespace holdfast::node {
namespace {

TEST(EventFile, AppendsAJsonObjectALine) {
  const std::string path = ::testing::TempDir() + "holdfast-events-" + std::to_string(::getpid());
  for (int i = 0; i < 2; ++i) {
    auto events = EventFile::open(path);
    ASSERT_TRUE(events);
    events->write("location-failed", {{"location", json_string("a \"b\"\n")}, {"ms", "1.5"}});
  }
  std::ifstream file(path);
  std::string line;
  int lines = 0;
  while (std::getline(file, line)) {
    const auto event = nlohmann::json::parse(line);
    EXPECT_EQ(event["event"], "location-failed");
    EXPECT_EQ(event["location"], "a \"b\"\n");
    EXPECT_EQ(event["ms"], 1.5);
    EXPECT_GT(event["unix_ns"], 0);
    ++lines;
  }
  EXPECT_EQ(lines, 2);
  std::remove(path.c_str());
}

TEST(EventFile, WithoutAPathNothingIsWritten) {
  auto events = EventFile::open("");
  ASSERT_TRUE(events);
  events->write("started");
}

TEST(EventFile, AFileThatCannotBeOpenedIsNamed) {
  const auto events = EventFile::open("/does/not/exist/events");
  ASSERT_FALSE(events);
  EXPECT_NE(events.error().message.find("/does/not/exist/events"), std::string::npos);
}

TEST(EventFile, TextThatIsNoUtf8IsStillJson) {
  EXPECT_EQ(nlohmann::json::parse(json_string("\xff")).get<std::string>(), "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace holdfast::node
