#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "node/command_line.h"

namespace holdfast::node {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<Command> parse(std::vector<const char*> words) {
  words.insert(words.begin(), {"holdfast", "lab", "handshake"});
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

std::string refusal(const std::vector<const char*>& words) {
  const auto command = parse(words);
  if (command) return "(accepted)";
  EXPECT_EQ(command.error().kind, Error::Kind::kUsage);
  EXPECT_EQ(command.error().message.find('\n'), std::string::npos);
  return command.error().message;
}

TEST(LabFlags, TakeListsAndRanges) {
  const auto command = parse({"--ways",
                              "16,3..5,4",
                              "--loss",
                              "0,0.25%,5%",
                              "--delay",
                              "1ms,20ms",
                              "--storage-latency",
                              "0,5ms",
                              "--directories",
                              "3",
                              "--stored-on",
                              "2",
                              "--runs",
                              "7",
                              "--seed",
                              "9",
                              "--policy",
                              "strict",
                              "--jitter",
                              "2ms",
                              "--volatile",
                              "initiator",
                              "--json",
                              "--csv",
                              "a.csv",
                              "--svg",
                              "plots"});
  ASSERT_TRUE(command) << command.error().message;
  const auto& lab = std::get<LabCommand>(*command);
  EXPECT_THAT(lab.grid.ways, ElementsAre(3, 4, 5, 16));
  EXPECT_THAT(lab.grid.loss, ElementsAre(0, 2500, 50'000));
  EXPECT_THAT(lab.grid.delay, ElementsAre(milliseconds(1), milliseconds(20)));
  EXPECT_THAT(lab.grid.storage, ElementsAre(Duration::zero(), milliseconds(5)));
  EXPECT_EQ(lab.grid.common.directories, 3U);
  EXPECT_EQ(lab.grid.common.stored_on, 2U);
  EXPECT_EQ(lab.grid.common.jitter, milliseconds(2));
  EXPECT_EQ(lab.grid.common.policy, lab::Policy::kStrict);
  EXPECT_FALSE(lab.grid.common.initiator_stores);
  EXPECT_TRUE(lab.grid.common.responder_stores);
  EXPECT_EQ(lab.grid.runs, 7U);
  EXPECT_EQ(lab.grid.seed, 9U);
  EXPECT_TRUE(lab.json);
  EXPECT_FALSE(lab.ladder);
}

TEST(LabFlags, ALadderIsOfOneHandshake) {
  const auto command = parse({"--ladder", "8", "--loss", "20%"});
  ASSERT_TRUE(command) << command.error().message;
  const auto& lab = std::get<LabCommand>(*command);
  EXPECT_TRUE(lab.ladder);
  ASSERT_EQ(lab.grid.cells().size(), 1U);
  EXPECT_EQ(lab.grid.cells()[0].ways, 8);
  EXPECT_EQ(lab.grid.cells()[0].loss, 200'000U);
  EXPECT_THAT(refusal({"--ladder", "8", "--loss", "1%,2%"}), HasSubstr("give --loss one value"));
  EXPECT_THAT(refusal({"--ladder", "8", "--ways", "3"}), HasSubstr("leave out --ways"));
  EXPECT_THAT(refusal({"--ladder", "8", "--json"}), HasSubstr("--json"));
  EXPECT_THAT(refusal({"--ladder", "8", "--runs", "5"}), HasSubstr("leave out --runs"));
  EXPECT_THAT(refusal({"--ladder", "75"}), HasSubstr("within 3..74"));
}

// What --help says of these two is what they are.
TEST(LabFlags, ALadderHasDefaultsOfItsOwn) {
  const auto ladder = parse({"--ladder", "8"});
  ASSERT_TRUE(ladder) << ladder.error().message;
  const lab::Grid& one = std::get<LabCommand>(*ladder).grid;
  EXPECT_THAT(one.loss, ElementsAre(0));
  EXPECT_THAT(one.delay, ElementsAre(milliseconds(20)));
  EXPECT_THAT(one.storage, ElementsAre(milliseconds(5)));
  const auto sweep = parse({});
  ASSERT_TRUE(sweep) << sweep.error().message;
  const lab::Grid& all = std::get<LabCommand>(*sweep).grid;
  EXPECT_THAT(all.loss, ElementsAre(0, 10'000, 50'000));
  EXPECT_THAT(all.delay, ElementsAre(milliseconds(50)));
  EXPECT_THAT(all.storage, ElementsAre(Duration::zero(), milliseconds(5)));
  const auto help = parse({"--help"});
  ASSERT_TRUE(help);
  EXPECT_THAT(std::get<TextCommand>(*help).text,
              AllOf(HasSubstr("(default 0,1%,5%; of a ladder 0)"), HasSubstr("(default 50ms; of a ladder 20ms)"),
                    HasSubstr("(default 0,5ms; of a ladder 5ms)")));
}

TEST(LabFlags, StandardOutputTakesOneThing) {
  const auto command = parse({"--csv", "-"});
  ASSERT_TRUE(command) << command.error().message;
  EXPECT_EQ(std::get<LabCommand>(*command).csv, "-");
  EXPECT_THAT(refusal({"--csv", "-", "--json"}), AllOf(HasSubstr("--csv"), HasSubstr("--json")));
  EXPECT_THAT(refusal({"--svg", "-"}), HasSubstr("not a directory"));
}

// An empty shell variable is not "the default".
TEST(LabFlags, AnEmptyValueIsRefused) {
  for (const char* flag :
       {"--ways", "--loss", "--delay", "--jitter", "--storage-latency", "--directories", "--stored-on", "--volatile",
        "--policy", "--roll-call-timeout", "--runs", "--seed", "--ladder", "--csv", "--svg"}) {
    EXPECT_THAT(refusal({flag, ""}), AllOf(HasSubstr(flag), HasSubstr("is empty"))) << flag;
  }
}

TEST(LabFlags, WhatMakesNoSenseIsRefusedInOneLine) {
  for (const char* ways : {"2", "75", "8..5", "3,,5", "x", "3..", "-3"}) {
    EXPECT_THAT(refusal({"--ways", ways}), AllOf(HasSubstr("--ways"), HasSubstr("3 to 74"))) << ways;
  }
  for (const char* loss : {"1", "5%%", "96%", "0.00001%", "1.%", ".5%", "%", "-1%", "0,"}) {
    EXPECT_THAT(refusal({"--loss", loss}), AllOf(HasSubstr("--loss"), HasSubstr("per cent"))) << loss;
  }
  EXPECT_THAT(refusal({"--delay", "20"}), AllOf(HasSubstr("--delay"), HasSubstr("lacks a unit")));
  EXPECT_THAT(refusal({"--delay", "1h"}), HasSubstr("within"));
  EXPECT_THAT(refusal({"--storage-latency", "5"}), HasSubstr("lacks a unit"));
  EXPECT_THAT(refusal({"--directories", "0"}), HasSubstr("within 1.."));
  EXPECT_THAT(refusal({"--directories", "1000"}), HasSubstr("within 1.."));
  EXPECT_THAT(refusal({"--directories", "2", "--stored-on", "3"}), HasSubstr("only 2 --directories"));
  EXPECT_THAT(refusal({"--policy", "kind"}), HasSubstr("strict or best-effort"));
  EXPECT_THAT(refusal({"--volatile", "all"}), HasSubstr("both"));
  EXPECT_THAT(refusal({"--runs", "0"}), HasSubstr("within 1..100000"));
  EXPECT_THAT(refusal({"--seed", "many"}), HasSubstr("number"));
  EXPECT_THAT(refusal({"--ways", "3..74", "--runs", "100000"}), HasSubstr("fewer --runs"));
  EXPECT_THAT(refusal({"--delay", "1ms,2ms,3ms,4ms,5ms,6ms,7ms,8ms,9ms,10ms,11ms,12ms,13ms,14ms,15ms,16ms,17ms"}),
              HasSubstr("more than 16"));
  EXPECT_THAT(refusal({"--json=yes"}), HasSubstr("takes no value"));
  const char* const words[] = {"holdfast", "lab"};
  EXPECT_FALSE(parse_command_line(2, words));
}

}  // namespace
}  // namespace holdfast::node
