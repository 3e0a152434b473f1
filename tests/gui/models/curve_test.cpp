#include <gmock/gmock.h>

#include "cli/service_curve.h"
#include "gui/models/views.h"
#include "tests/gui/models/scenarios.h"

namespace fathom::gui {
namespace {

std::vector<std::string> names_of(const Chart& c) {
  std::vector<std::string> out;
  for (const auto& s : c.series) out.push_back(s.name);
  return out;
}

TEST(CurveChart, IsTheCurveOfTheService) {
  const auto a = small();
  const auto c = curve_chart(a, PhaseName::decode);
  ASSERT_EQ(names_of(c), (std::vector<std::string>{"deepseek-v3.2", "dense MLA", "published"}));
  EXPECT_EQ(c.title, "Decode cost by position");
  EXPECT_EQ(c.y.title, "USD per million tokens (output)");
  const auto points =
      points_of(a.scenario->model, cli::service_curve(*a.scenario, a.settings, CurvePhase::decode), {0, 2048, 4096, 8192, 16384, 32768, 65536, 98304, 131071});
  ASSERT_EQ(c.series[0].marks.size(), points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    EXPECT_EQ(c.series[0].marks[i].x, static_cast<double>(points[i].position));
    EXPECT_EQ(c.series[0].marks[i].y, points[i].usd_per_million);
  }
}

// DeepSeek-V3.1-Terminus is V3.2 without the indexer.
TEST(CurveChart, DenseIsTheModelBeforeTheIndexer) {
  const auto sparse = curve_chart(answer("", "x.toml"), PhaseName::prefill),
             dense = curve_chart(answer("model = \"deepseek-v3.1-terminus\"\n", "x.toml"), PhaseName::prefill);
  ASSERT_EQ(names_of(dense), (std::vector<std::string>{"deepseek-v3.1-terminus", "published"}));
  ASSERT_EQ(sparse.series[1].marks.size(), dense.series[0].marks.size());
  for (std::size_t i = 0; i < dense.series[0].marks.size(); ++i) EXPECT_EQ(sparse.series[1].marks[i].y, dense.series[0].marks[i].y);
}

TEST(CurveChart, EndsWithTheModel) {
  const auto c = curve_chart(answer("model = {name = \"deepseek-v3.2\", max_position_embeddings = 8193}\n", "x.toml"), PhaseName::prefill);
  ASSERT_FALSE(c.series.empty()) << c.empty;
  EXPECT_EQ(c.series[0].marks.back().x, 8192);
}

TEST(CurveChart, PublishedPointsSayWhatTheyAre) {
  const auto c = curve_chart(small(), PhaseName::prefill);
  EXPECT_EQ(c.series.back().look, Look::dashed);
  EXPECT_THAT(c.series.back().marks.front().tip, testing::HasSubstr("its batch and layout are not stated"));
}

TEST(CurveChart, SaysWhyThereIsNothing) {
  EXPECT_THAT(curve_chart(answer("system = \"h20_sxm\"\n", "x.toml"), PhaseName::decode).empty, testing::HasSubstr("h20_sxm has no price of a GPU-hour"));
  EXPECT_THAT(curve_chart(overlapped(), PhaseName::prefill).empty, testing::HasSubstr("pp must be 1"));
  EXPECT_THAT(curve_chart(one_gpu(), PhaseName::decode).empty, testing::StartsWith("decode does not fit: "));
  EXPECT_THAT(curve_chart(faulty(), PhaseName::decode).empty, testing::StartsWith("line 1: workload.isl: "));
}

}  // namespace
}  // namespace fathom::gui
