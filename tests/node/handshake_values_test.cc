#include "node/handshake_values.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace holdfast::node {
namespace {

using ::testing::HasSubstr;

tcp::WaysReport few(std::uint8_t ways, std::uint8_t step, std::uint8_t copies) {
  tcp::WaysReport report;
  report.asked = report.ways = ways;
  report.received = step;
  report.peer_copies = copies;
  report.peer_asked = tcp::copies_asked(step);
  report.failure = tcp::WaysFailure::kTooFewCopies;
  return report;
}

TEST(HandshakeValues, TooFewCopiesAreWordsAboutDirectories) {
  EXPECT_EQ(explain_failure(few(8, 6, 1)),
            "the peer holds 1 copy of the connection's record where step 6 of 8 asks for 2: give it more --data "
            "directories (3 for 8 ways), see to its storage, lower --ways (to 5 for 1 copy), or accept that (--policy "
            "best-effort)");
  EXPECT_EQ(explain_failure(few(9, 9, 2), Side::kService),
            "the peer holds 2 copies of the connection's record where step 9 of 9 asks for 3: give it more --data "
            "directories (3 for 9 ways), see to its storage, lower the service's ways= (to 8 for 2 copies), or accept "
            "that (policy=best-effort)");
}

TEST(HandshakeValues, TooFewCopiesOfOurOwnAreWordsAboutOurDirectories) {
  tcp::WaysReport report;
  report.ways = 8;
  report.sent = 7;
  report.copies = 1;
  report.copies_asked = 2;
  report.failure = tcp::WaysFailure::kReset;
  EXPECT_EQ(explain_failure(report),
            "the peer gave the handshake up when step 7 of 8 certified 1 of the 2 copies that it asks for: give more "
            "--data directories (2 for 8 ways), see to our storage, lower --ways (to 6 for 1 copy), or have the peer "
            "accept that (policy best-effort)");
  report.sent = 6;
  EXPECT_THAT(explain_failure(report, Side::kService),
              HasSubstr("(3 for 8 ways), see to our storage, lower the service's ways= (to 5 for 1 copy)"));
}

// What the words say of a number of directories is what the steps ask for.
TEST(HandshakeValues, TheWaysThatDirectoriesAreEnoughForAreThoseWhoseStepsAskForNoMore) {
  for (const Side side : {Side::kSend, Side::kService}) {
    for (std::uint8_t directories = 0; directories <= 36; ++directories) {
      unsigned most = wire::kMinWays;
      for (std::uint8_t ways = 4; ways <= wire::kMaxWays; ++ways) {
        unsigned asked = 0;
        for (std::uint8_t step = side == Side::kSend ? 2 : 1; step <= ways; step += 2) {
          asked = std::max<unsigned>(asked, tcp::copies_asked(step));
        }
        EXPECT_THAT(explain_failure(few(ways, ways, directories), side),
                    HasSubstr(fmt::format("({} for {} ways)", asked, ways)));
        if (asked <= directories) most = ways;
      }
      EXPECT_THAT(explain_failure(few(74, 74, directories), side),
                  HasSubstr(fmt::format("(to {} for {} cop", most, directories)));
    }
  }
}

TEST(HandshakeValues, EachFailureHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (int failure = 0; failure <= static_cast<int>(tcp::WaysFailure::kReset); ++failure) {
    tcp::WaysReport report;
    report.failure = static_cast<tcp::WaysFailure>(failure);
    EXPECT_EQ(failure_word(report).empty(), failure == 0);
    EXPECT_TRUE(words.insert(failure_word(report)).second);
  }
}

}  // namespace
}  // namespace holdfast::node
