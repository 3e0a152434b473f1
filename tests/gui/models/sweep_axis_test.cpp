#include "gui/models/sweep_axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_spec/error.h"

namespace fathom::gui {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string complaint(std::string_view text) {
  try {
    parse_axis_values(text);
  } catch (const model_spec::Error& e) { return e.what(); }
  return "none";
}

TEST(AxisValues, AreEvenlySpacedAndKeepTheirEnds) {
  EXPECT_THAT(axis_values(1, 5, 3, false), ElementsAre(1, 3, 5));
  EXPECT_THAT(axis_values(1, 100, 3, true), ElementsAre(1, DoubleEq(10), 100));
  EXPECT_THAT(axis_values(7, 9, 1, true), ElementsAre(7));
}

TEST(AxisValues, ListsAndRanges) {
  EXPECT_THAT(parse_axis_values("8,1, 2 ,2,4k"), ElementsAre(1, 2, 8, 4000));
  EXPECT_THAT(parse_axis_values("1k..10k x2"), ElementsAre(1000, 2000, 4000, 8000));
  EXPECT_THAT(parse_axis_values("1..8:x2"), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(parse_axis_values("0.7..0.85 +0.05"), ElementsAre(0.7, 0.75, 0.8, 0.85));
  EXPECT_THAT(parse_axis_values("0, 10..30 +10"), ElementsAre(0, 10, 20, 30));
  EXPECT_THAT(parse_axis_values("10%..20% +5%"), ElementsAre(0.1, 0.15, 0.2));
}

TEST(AxisValues, ACountSpreadsThemByTheirLogarithmsOverDecadesAndKeepsWholeThingsWhole) {
  EXPECT_THAT(parse_axis_values("1..1000 in 4"), ElementsAre(1, 10, 100, 1000));
  EXPECT_THAT(parse_axis_values("1..100 in 4"), ElementsAre(1, 5, 22, 100));
  EXPECT_THAT(parse_axis_values("0..1 in 3"), ElementsAre(0, 0.5, 1));
  EXPECT_THAT(parse_axis_values("10..20 in 3"), ElementsAre(10, 15, 20));
}

TEST(AxisValues, SayWhatIsWrong) {
  EXPECT_THAT(complaint("  "), HasSubstr("no values"));
  EXPECT_THAT(complaint("1,two"), HasSubstr("'two' is not a number"));
  EXPECT_THAT(complaint("1,"), HasSubstr("'' is not a number"));
  EXPECT_THAT(complaint("1..8"), HasSubstr("needs a step"));
  EXPECT_THAT(complaint("8..1 x2"), HasSubstr("runs backwards"));
  EXPECT_THAT(complaint("0..8 x2"), HasSubstr("above 0"));
  EXPECT_THAT(complaint("1..8 x1"), HasSubstr("factor above 1"));
  EXPECT_THAT(complaint("1..8 +0"), HasSubstr("step above 0"));
  EXPECT_THAT(complaint("1..8 in 2.5"), HasSubstr("whole number"));
  EXPECT_THAT(complaint("1..1M +1"), HasSubstr("more than 1000 values"));
}

TEST(SweepKeys, HaveLabelsAndValuesThatParse) {
  for (const auto& k : sweep_keys()) EXPECT_GT(parse_axis_values(k.values).size(), 3u) << k.key;
  EXPECT_EQ(sweep_label("workload.isl"), "Input tokens");
  EXPECT_EQ(sweep_label("model.q_lora_rank"), "model.q_lora_rank");
}

}  // namespace
}  // namespace fathom::gui
