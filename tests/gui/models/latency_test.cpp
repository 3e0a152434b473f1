#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "gui/models/bound_colour.h"
#include "gui/models/views.h"
#include "tests/gui/models/scenarios.h"

namespace fathom::gui {
namespace {

TEST(LatencyChart, BarsAddUpToTheStep) {
  for (const auto& a : {small(), overlapped()})
    for (const auto p : both) {
      double sum = 0, total = 0;
      for (const auto& s : latency_chart(a, p).series)
        for (const auto& m : s.marks) sum += m.x;
      for (const auto& o : cli::operator_totals(a.estimated(p).trace)) total += 1e6 * o.total.value;
      EXPECT_NEAR(sum / total, 1, 1e-12);
    }
  const auto a = small();  // nothing overlaps: that is how long the step takes
  double sum = 0;
  for (const auto& s : latency_chart(a, PhaseName::decode).series)
    for (const auto& m : s.marks) sum += m.x;
  EXPECT_NEAR(sum, 1e6 * a.estimate->decode.step.value, 1e-6 * sum);
}

TEST(LatencyChart, LongestFirstAndTheRestTogether) {
  const auto a = small();
  const auto c = latency_chart(a, PhaseName::decode);
  std::vector<double> bars(c.y.categories.size());
  for (const auto& s : c.series)
    for (const auto& m : s.marks) bars.at(static_cast<std::size_t>(m.y)) += m.x;
  ASSERT_EQ(bars.size(), 25u);
  EXPECT_TRUE(std::is_sorted(bars.rbegin() + 1, bars.rend()));
  EXPECT_EQ(c.y.categories.back(), std::to_string(latency_table(a, PhaseName::decode).keys.size() - 24) + " others");
}

TEST(LatencyChart, ABarKnowsItsOperatorAndWhatBoundsIt) {
  const auto a = small();
  const auto c = latency_chart(a, PhaseName::prefill);
  for (const auto& s : c.series)
    for (const auto& m : s.marks) {
      if (s.name == "others") continue;
      const auto o = find_operator(a, m.key);
      ASSERT_TRUE(o) << m.key;
      EXPECT_EQ(m.x, 1e6 * o->total.value);
      EXPECT_EQ(s.name, name_of(o->step->predicted->bound));
      EXPECT_EQ(s.colour, bound_colour(o->step->predicted->bound));
      EXPECT_EQ(c.y.categories.at(static_cast<std::size_t>(m.y)), cli::block_name(*o->block) + " · " + std::string(o->step->label));
    }
}

TEST(LatencyChart, TitleNamesTheStage) {
  const auto a = overlapped();
  EXPECT_EQ(latency_chart(a, PhaseName::prefill).title, "Prefill step by operator (first of 4 stages)");
  EXPECT_EQ(latency_chart(a, PhaseName::decode).title, "Decode step by operator");
}

TEST(LatencyTable, KeysAreOfTheRecords) {
  const auto a = small();
  for (const auto p : both) {
    const auto t = latency_table(a, p);
    ASSERT_EQ(t.keys.size(), t.table.records.size());
    for (std::size_t i = 0; i < t.keys.size(); ++i) {
      const auto o = find_operator(a, t.keys[i]);
      ASSERT_TRUE(o) << t.keys[i];
      const auto& cells = t.table.records[i].cells;
      EXPECT_EQ(cells[1], Cell{std::string(o->step->label)});
      EXPECT_EQ(cells[4], Cell{static_cast<std::int64_t>(o->times)});
    }
    EXPECT_EQ(std::set(t.keys.begin(), t.keys.end()).size(), t.keys.size());
  }
}

TEST(LatencyViews, SayWhyThereIsNothing) {
  EXPECT_THAT(latency_chart(one_gpu(), PhaseName::prefill).empty, testing::HasSubstr("prefill does not fit: weights of"));
  EXPECT_TRUE(latency_table(one_gpu(), PhaseName::prefill).keys.empty());
  const auto c = latency_chart(faulty(), PhaseName::decode);
  EXPECT_EQ(c.title, "Decode step by operator");
  EXPECT_THAT(c.empty, testing::StartsWith("line 1: workload.isl: "));
}

}  // namespace
}  // namespace fathom::gui
