#include "gui/models/sweep.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "gui/models/metrics.h"
#include "gui/models/sweep_axis.h"

namespace fathom::gui {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::StartsWith;

void ignore(double) {}

SweepResult run(const SweepRequest& request) { return sweep(request, {}, ignore); }

std::size_t metric(std::string_view id) {
  const auto found = std::ranges::find(metrics(), id, &Metric::id);
  EXPECT_NE(found, metrics().end()) << id;
  return static_cast<std::size_t>(found - metrics().begin());
}

TEST(Sweep, APointIsTheAnswerToTheSameScenario) {
  const auto r = run({.toml = "system = \"h200_sxm\"\n[workload]\nosl = 500\n", .file = "x.toml", .x = {"workload.isl", {2000, 8000}}});
  ASSERT_EQ(r.points.size(), 2u);
  const auto a = answer("system = \"h200_sxm\"\nworkload = {osl = 500, isl = 8000}\n", "x.toml");
  for (std::size_t m = 0; m < metrics().size(); ++m) EXPECT_EQ(r.points[1].values[m], metrics()[m].value(a)) << metrics()[m].id;
  EXPECT_EQ(r.points[1].values[metric("tpot")], 1e3 * a.estimate->tpot.value);
  EXPECT_LT(*r.points[0].values[metric("ttft")], *r.points[1].values[metric("ttft")]);
  EXPECT_EQ(r.points[1].reason, "");
  EXPECT_FALSE(r.stopped);
}

TEST(Sweep, ASweptKeyWinsOverTheFileWhicheverNamesItMoreClosely) {
  const std::string toml = "[decode.layout]\ndp = 32\n[prefill.layout]\ndp = 32\n";
  const auto r = run({.toml = toml, .file = "x.toml", .x = {"layout.dp", {16, 64}}});
  EXPECT_THAT(r.points[1].configuration, HasSubstr("decode: 64 GPUs"));
}

TEST(Sweep, KeepsPointsThatDoNotRunWithTheirReasons) {
  const auto r = run({.toml = "", .file = "x.toml", .x = {"workload.isl", {4000, 300000}}, .y = SweepAxis{"decode.batch", {8, 100000}}});
  ASSERT_EQ(r.points.size(), 4u);
  EXPECT_EQ(r.points[0].reason, "");
  EXPECT_THAT(r.points[1].reason, HasSubstr("workload.isl = 300000: 300000 input and 1000 output tokens are more than the context"));
  EXPECT_THAT(r.points[2].reason, HasSubstr("decode does not fit: 100000 sequences a rank need"));
  EXPECT_FALSE(r.points[2].values[metric("tpot")]);
  EXPECT_LT(*r.points[2].values[metric("free_memory")], 0);  // by how much
  EXPECT_THAT(sweep_note(r), HasSubstr("3 of 4 points do not run. workload.isl = 300000, decode.batch = 8: "));
}

TEST(Sweep, AScenarioThatDoesNotParseIsAFaultAndAnUnknownKeyTheReasonOfEveryPoint) {
  const auto broken = run({.toml = "isl = = 3", .file = "x.toml", .x = {"workload.isl", {1, 2}}});
  EXPECT_THAT(broken.fault, HasSubstr("x.toml:1"));
  EXPECT_EQ(sweep_chart(broken, 0).empty, broken.fault);
  const auto unknown = run({.toml = "", .file = "x.toml", .x = {"workload.is", {1, 2}}});
  EXPECT_THAT(unknown.points[1].reason, HasSubstr("workload.is"));
  EXPECT_THAT(sweep_chart(unknown, 0).empty, HasSubstr("No point runs: workload.is"));
}

TEST(Sweep, ReportsProgressUpToAllAndStopsWhenAsked) {
  const SweepRequest request{.toml = "", .file = "x.toml", .x = {"workload.isl", axis_values(1000, 5000, 41, false)}};
  std::vector<double> seen;
  sweep(request, {}, [&](double share) { seen.push_back(share); });
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_GT(seen.back(), 0.9);
  std::stop_source stop;
  const auto r = sweep(request, stop.get_token(), [&](double) { stop.request_stop(); });
  EXPECT_TRUE(r.stopped);
}

TEST(SweepChart, OfOneParameterIsALineAndEachPointHasItsConfiguration) {
  const auto r = run({.toml = "", .file = "x.toml", .x = {"workload.isl", {1000, 4000, 32000, 300000}}});
  const auto chart = sweep_chart(r, metric("tpot"));
  EXPECT_EQ(chart.title, "Time per output token, ms (1 of 4 points do not run)");
  EXPECT_EQ(chart.x.title, "Input tokens");
  EXPECT_TRUE(chart.x.logarithmic);
  ASSERT_EQ(chart.series.size(), 1u);
  const auto& marks = chart.series[0].marks;
  ASSERT_EQ(marks.size(), 4u);
  EXPECT_EQ(marks[1].y, *r.points[1].values[metric("tpot")]);
  EXPECT_EQ(marks[1].key, "workload.isl=4000");
  EXPECT_THAT(marks[1].tip, StartsWith("workload.isl = 4000\nTime per output token, ms: "));
  const auto html = point_html(r, marks[1].key);
  EXPECT_THAT(html, HasSubstr("<a href=\"take:workload.isl=4000\">"));
  for (const auto* part :
       {"<h3>workload.isl = 4000</h3>", "Output tokens/s/user</td>", "decode: 144 GPUs of h800_sxm, ", " sequences per dp rank", "deepseek-v3.2"})
    EXPECT_THAT(html, HasSubstr(part));
  EXPECT_TRUE(std::isnan(marks[3].y));
  EXPECT_THAT(marks[3].tip, StartsWith("workload.isl = 300000\n300000 input and"));
  ASSERT_EQ(chart.guides.size(), 1u);
  EXPECT_EQ(chart.guides[0].at, 300000);
}

TEST(SweepChart, OfTwoIsAHeatMapThatGrowsUpwards) {
  const auto r = run({.toml = "", .file = "x.toml", .x = {"workload.isl", {1000, 2000}}, .y = SweepAxis{"decode.batch", {8, 64, 100000}}});
  const auto chart = sweep_chart(r, metric("tokens_per_user"));
  EXPECT_THAT(chart.x.categories, ElementsAre("1,000", "2,000"));
  EXPECT_THAT(chart.y.categories, ElementsAre("100,000", "64", "8"));
  const auto& marks = chart.series[0].marks;
  ASSERT_EQ(marks.size(), 6u);
  EXPECT_EQ(marks[3].key, "workload.isl=2000;decode.batch=64");
  EXPECT_EQ(marks[3].x, 1);
  EXPECT_EQ(marks[3].y, 1);
  EXPECT_EQ(marks[3].size, *r.points[3].values[metric("tokens_per_user")]);
  EXPECT_EQ(marks[5].x, 1);
  EXPECT_EQ(marks[5].y, 0);
  EXPECT_TRUE(std::isnan(marks[5].size));
  EXPECT_THAT(marks[5].tip, HasSubstr("decode does not fit"));
  EXPECT_EQ(chart.colour_title, "Output tokens/s/user");
}

TEST(SweepChart, KeysSayWhatToSet) {
  EXPECT_THAT(settings_of_key("workload.isl=8000;prices.utilisation=0.5"), ElementsAre(Pair("workload.isl", "8000"), Pair("prices.utilisation", "0.5")));
  EXPECT_THAT(settings_of_key("decode/MoE/gate"), IsEmpty());
  EXPECT_THAT(settings_of_key(""), IsEmpty());
}

}  // namespace
}  // namespace fathom::gui
