// The checker is worth what it catches: each seeded bug of the handshake is planted, and must be found as the breach of
// the property that it breaks.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/mutant.h"
#include "base/mutant_names.h"
#include "model/checker.h"

namespace holdfast::model {
namespace {

const std::map<Mutant, Property> kBreaks = {
    {Mutant::kWaysEchoUnchecked, Property::kForgery}, {Mutant::kWaysNonceWithoutIsns, Property::kForgery},
    {Mutant::kWaysNonceRepeats, Property::kAsked},    {Mutant::kWaysCookieUnproved, Property::kForgery},
    {Mutant::kWaysAckUnchecked, Property::kAsked},    {Mutant::kWaysAnyStep, Property::kOrder},
    {Mutant::kWaysSendUnstored, Property::kStored},   {Mutant::kWaysCertifyUncounted, Property::kCopies},
    {Mutant::kWaysFewTaken, Property::kCopies},       {Mutant::kWaysNoProof, Property::kSurvives},
    {Mutant::kWaysForgetNonce, Property::kSurvives},  {Mutant::kWaysOldUnanswered, Property::kSurvives},
    {Mutant::kWaysSettleLarger, Property::kNominal},  {Mutant::kWaysFallBackLate, Property::kAgreement},
    {Mutant::kWaysNeverStops, Property::kNoLivelock}, {Mutant::kWaysGivesUpSilently, Property::kEnds},
};

std::vector<Mutant> planted() {
  std::vector<Mutant> all;
  for (auto i = static_cast<unsigned>(kFirstModelMutant); i < static_cast<unsigned>(kFirstPoolMutant); ++i) {
    all.push_back(static_cast<Mutant>(i));
  }
  return all;
}

class ModelMutants : public testing::TestWithParam<Mutant> {
 protected:
  void SetUp() override { active_mutant = GetParam(); }
  void TearDown() override { active_mutant = Mutant::kNone; }
};

TEST_P(ModelMutants, AreFound) {
  ASSERT_TRUE(kBreaks.contains(GetParam())) << "say what it breaks: " << to_string(GetParam());
  const Property expected = kBreaks.at(GetParam());
  for (std::uint8_t ways = 3; ways <= 7; ++ways) {
    for (const Scenario& scenario : scenarios(ways, Depth::kQuick)) {
      const Verdict verdict = check(scenario, {.states = 1'000'000});
      if (verdict.broken != expected) continue;
      EXPECT_FALSE(verdict.ladder.empty());
      std::printf("%s: N = %d, %s: %s\n%s", std::string(to_string(GetParam())).c_str(), ways, scenario.name.c_str(),
                  std::string(to_string(expected)).c_str(), verdict.ladder.c_str());
      return;
    }
  }
  ADD_FAILURE() << to_string(GetParam()) << " lives: nowhere up to N = 7 is it found that " << to_string(expected);
}

std::string name_of(const testing::TestParamInfo<Mutant>& info) {
  std::string name(to_string(info.param));
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Planted, ModelMutants, testing::ValuesIn(planted()), name_of);

TEST(NoModelMutant, TheSameCodeWithoutABugHolds) {
  for (std::uint8_t ways = 3; ways <= 5; ++ways) {
    for (const Scenario& scenario : scenarios(ways, Depth::kQuick)) {
      const Verdict verdict = check(scenario, {});
      EXPECT_TRUE(verdict.ok()) << int{ways} << " " << scenario.name << ": " << to_string(verdict.broken);
    }
  }
}

}  // namespace
}  // namespace holdfast::model
