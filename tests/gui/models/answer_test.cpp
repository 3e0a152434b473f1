#include "gui/models/answer.h"

#include <gtest/gtest.h>

namespace fathom::gui {
namespace {

TEST(Answer, OfNothingIsTheDefaultScenario) {
  const auto a = answer("", "x.toml");
  EXPECT_TRUE(a.faults.empty());
  ASSERT_TRUE(a.estimate);
  EXPECT_TRUE(a.report.answer.starts_with("fits: deepseek-v3.2 on 32 prefill and 144 decode GPUs")) << a.report.answer;
}

TEST(Answer, FaultsNameLineAndKey) {
  const auto a = answer("system = \"h800_sxm\"\n[workload]\nisl = -3\n", "x.toml");
  ASSERT_EQ(a.faults.size(), 1u);
  EXPECT_EQ(a.faults[0].line, 3);
  EXPECT_EQ(a.faults[0].key, "workload.isl");
  EXPECT_FALSE(a.faults[0].message.empty());
  EXPECT_FALSE(a.estimate);
}

TEST(Answer, FaultsOfTheTextNameTheLine) {
  const auto a = answer("isl = = 3\n", "x.toml");
  ASSERT_EQ(a.faults.size(), 1u);
  EXPECT_EQ(a.faults[0].line, 1);
  EXPECT_EQ(a.faults[0].key, "");
}

TEST(Answer, EveryOperatorHasAKeyThatFindsIt) {
  const auto a = answer("", "x.toml");
  for (const auto p : {PhaseName::prefill, PhaseName::decode})
    for (const auto& o : cli::operator_totals(a.estimated(p).trace)) {
      const auto found = find_operator(a, operator_key(p, o));
      ASSERT_TRUE(found) << operator_key(p, o);
      EXPECT_EQ(found->step->label, o.step->label);
      EXPECT_EQ(found->total.value, o.total.value);
    }
}

}  // namespace
}  // namespace fathom::gui
