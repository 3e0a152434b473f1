#include "simulator/cost_curve.h"

#include <gtest/gtest.h>

#include "tests/simulator/fixture.h"

namespace fathom::simulator {
namespace {

const std::vector<std::int64_t> positions{0, 2048, 8192, 16'384, 65'536, 131'071};

std::vector<CurvePoint> curve(const std::string& model, CurvePhase phase) {
  return cost_curve(find_model(model), round_profile(), round_calibration(), phase, published_service(phase), 2, positions);
}

TEST(CostCurve, DenseAttentionCostsGrowInProportionToPosition) {
  const auto c = curve("deepseek-v3.1-terminus", CurvePhase::decode);
  EXPECT_NEAR((c[5].attention - c[4].attention) / (131'071 - 65'536), (c[4].attention - c[3].attention) / (65'536 - 16'384), 1e-12);
  EXPECT_EQ(c[5].index, 0);
  EXPECT_EQ(c[5].position_independent, c[0].position_independent);
}

TEST(CostCurve, SparseAttentionIsFlatAndItsIndexGrows) {
  const auto c = curve("deepseek-v3.2", CurvePhase::decode);
  EXPECT_NEAR(c[5].attention, c[3].attention, 1e-3 * c[3].attention);
  EXPECT_GT(c[5].index, c[3].index);
}

TEST(CostCurve, PrefillMarginIsTheWorkOfOneToken) {
  // 2 FLOP * 40,960 multiply-adds per key and layer at 100 TFLOPS, at 2 USD an hour: nothing else grows with position.
  const auto c = curve("deepseek-v3.1-terminus", CurvePhase::prefill);
  const double slope = (c[5].attention - c[4].attention) / (131'071 - 65'536);
  EXPECT_NEAR(slope, 61 * 2 * 40'960 / 100e12 * 2 / 3600 * 1e6, 1e-3 * slope);
}

TEST(CostCurve, ShortPromptsTakeMaskedMhaAndLongOnesSparseAttention) {
  const auto c = curve("deepseek-v3.2", CurvePhase::prefill);
  EXPECT_LT(c[1].attention, c[2].attention);
  EXPECT_NEAR(c[4].attention, c[3].attention, 0.05 * c[3].attention);
}

TEST(CostCurve, PublishedPointsAreThere) {
  EXPECT_EQ(published_curve("deepseek-v3.1-terminus", CurvePhase::prefill).size(), 10U);
  EXPECT_EQ(published_curve("deepseek-v3.2", CurvePhase::prefill).size(), 11U);
  EXPECT_EQ(published_curve("deepseek-v3.2", CurvePhase::decode).size(), 12U);
  EXPECT_EQ(published_curve("deepseek-v3", CurvePhase::decode).size(), 0U);
  EXPECT_EQ(published_curve("deepseek-v3.1-terminus", CurvePhase::decode).back().usd_per_million, 2.15434);
}

TEST(CostCurve, ErrorsOfAKnownLine) {
  std::vector<CurvePoint> ours;
  std::vector<PublishedPoint> theirs;
  for (const auto p : positions) {
    ours.push_back({p, 0.1 + 2e-6 * static_cast<double>(p)});
    theirs.push_back({p, 0.05 + 1e-6 * static_cast<double>(p)});
  }
  ours[0].usd_per_million = 99;  // before 8,192 curves bend: not part of the line
  const auto e = compare(ours, theirs);
  EXPECT_NEAR(e.slope, 2e-6 * 131'072, 1e-9);
  EXPECT_NEAR(e.published_slope, 1e-6 * 131'072, 1e-9);
  EXPECT_NEAR(e.intercept, 0.1, 1e-9);
  EXPECT_NEAR(e.published_intercept, 0.05, 1e-9);
}

}  // namespace
}  // namespace fathom::simulator
