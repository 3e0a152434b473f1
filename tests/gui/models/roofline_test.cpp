#include <gmock/gmock.h>

#include "gui/models/views.h"
#include "tests/gui/models/scenarios.h"

namespace fathom::gui {
namespace {

TEST(RooflineChart, RoofsAreThoseOfTheMachine) {
  const auto c = roofline_chart(small(), PhaseName::prefill);
  EXPECT_EQ(c.title, "Prefill roofline: h800_sxm");
  EXPECT_EQ(
      dump(Chart{.title = "roofs", .x = c.x, .y = c.y, .series = {c.series.begin(), c.series.begin() + 3}, .guides = {}, .colour_title = {}, .empty = {}}),
      "roofs\nx: FLOP per byte of HBM (log)\ny: TFLOP/s (log)\n"
      "dashed 3.35 TB/s HBM (7)\n  1 | 3.35 | 0\n  590.746 | 1979 | 0\n"
      "dashed bf16 989 TFLOP/s (7)\n  295.224 | 989 | 0\n  10000 | 989 | 0\n"
      "dashed fp8 1979 TFLOP/s (7)\n  590.746 | 1979 | 0\n  10000 | 1979 | 0\n");
}

TEST(RooflineChart, OperatorsWithMatrixWorkLieUnderTheirRoofs) {
  for (const auto& a : {small(), overlapped()})
    for (const auto p : both) {
      const auto profile = hardware_profiles::find_profile(a.phase(p).system);
      std::size_t points = 0, expected = 0;
      for (const auto& s : roofline_chart(a, p).series) {
        if (s.look != Look::points) continue;
        for (const auto& m : s.marks) {
          const auto o = find_operator(a, m.key);
          ASSERT_TRUE(o) << m.key;
          EXPECT_EQ(s.name, name_of(o->step->predicted->bound));
          EXPECT_LE(m.y, profile.rate(o->step->predicted->arithmetic).value / 1e12) << m.tip;
          EXPECT_LE(m.y, m.x * profile.bandwidth().value / 1e12) << m.tip;
          ++points;
        }
      }
      for (const auto& o : cli::operator_totals(a.estimated(p).trace)) expected += cost(o.step->op).total_matrix_flops() > 0 ? 1 : 0;
      EXPECT_EQ(points, expected);
    }
}

TEST(RooflineChart, RoofsReachOverAllPoints) {
  const auto c = roofline_chart(small(), PhaseName::decode);
  const double low = c.series[0].marks[0].x, high = c.series[1].marks[1].x;
  for (const auto& s : c.series)
    for (const auto& m : s.marks) {
      EXPECT_GE(m.x, low);
      EXPECT_LE(m.x, high);
    }
}

TEST(RooflineChart, SaysWhyThereIsNothing) {
  EXPECT_THAT(roofline_chart(one_gpu(), PhaseName::decode).empty, testing::StartsWith("decode does not fit: "));
  const auto c = roofline_chart(faulty(), PhaseName::decode);
  EXPECT_EQ(c.title, "Decode roofline");
  EXPECT_THAT(c.empty, testing::StartsWith("line 1: workload.isl: "));
}

}  // namespace
}  // namespace fathom::gui
