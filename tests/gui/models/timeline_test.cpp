#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "gui/models/views.h"
#include "tests/gui/models/scenarios.h"

namespace fathom::gui {
namespace {

// Spans by row, in order of their starts.
std::map<std::string, std::vector<Mark>> rows_of(const Chart& c) {
  std::map<std::string, std::vector<Mark>> rows;
  for (const auto& s : c.series)
    for (const auto& m : s.marks) rows[c.y.categories.at(static_cast<std::size_t>(m.y))].push_back(m);
  for (auto& [name, marks] : rows) std::ranges::sort(marks, {}, &Mark::x);
  return rows;
}

// Micro-batches have rows of their own, but share the GPU's two streams.
TEST(TimelineChart, SpansOfAStreamFollowEachOtherWithinTheStep) {
  for (const auto& a : {small(), overlapped()})
    for (const auto p : both) {
      auto c = timeline_chart(a, p);
      for (auto& name : c.y.categories) name = name.substr(0, name.find(','));
      const double total = 1e3 * a.estimated(p).trace.total.value, rounding = 1e-9 * total;
      for (const auto& [name, marks] : rows_of(c)) {
        double end = 0;
        for (const auto& m : marks) {
          EXPECT_GE(m.x, end - rounding) << name << ": " << m.tip;
          end = m.x + m.size;
        }
        EXPECT_LE(end, total + rounding) << name;
      }
    }
}

TEST(TimelineChart, LayersCoverTheStep) {
  const auto a = small();
  const auto layers = rows_of(timeline_chart(a, PhaseName::decode))["layers"];
  double sum = 0;
  std::string names;
  for (const auto& m : layers) {
    sum += m.size;
    names += m.tip.substr(0, m.tip.find('\n')) + "\n";
  }
  EXPECT_NEAR(sum, 1e3 * a.estimate->decode.step.value, 1e-9);
  EXPECT_EQ(names, "embedding\ndense layer 0\ndense layer 1\ndense layer 2\nMoE layer 3\nMoE layer 4\nMoE layers 5 to 60, alike\nhead\n");
}

// One operator at a time: together they take the step but for the layers that are not drawn.
TEST(TimelineChart, DrawnLayersHoldAllTheirOperators) {
  const auto a = small();
  const auto rows = rows_of(timeline_chart(a, PhaseName::prefill));
  EXPECT_EQ(rows.size(), 3u);
  double drawn = 0, not_drawn = 0;
  for (const auto& m : rows.at("layers"))
    if (m.tip.find("alike") != std::string::npos) not_drawn += m.size;
  for (const auto* row : {"computation", "communication"})
    for (const auto& m : rows.at(row)) {
      EXPECT_TRUE(find_operator(a, m.key)) << m.key;
      drawn += m.size;
    }
  EXPECT_NEAR(drawn + not_drawn, 1e3 * a.estimated(PhaseName::prefill).trace.total.value, 1e-6);
}

TEST(TimelineChart, OverlapHasRowsForBothMicroBatches) {
  const auto a = overlapped();
  const auto c = timeline_chart(a, PhaseName::decode);
  EXPECT_EQ(c.y.categories, (std::vector<std::string>{"layers", "computation, micro-batch 1", "computation, micro-batch 2", "communication, micro-batch 1",
                                                      "communication, micro-batch 2"}));
  std::size_t spans = 0, steps = 0;
  for (const auto& [name, marks] : rows_of(c)) spans += name == "layers" ? 0 : marks.size();
  for (const auto& s : a.estimate->decode.trace.steps) steps += s.duration > Seconds{} ? 1 : 0;
  EXPECT_EQ(spans, steps);
}

TEST(TimelineChart, OpensWhereOperatorsAreDrawn) {
  const auto c = timeline_chart(small(), PhaseName::decode);
  ASSERT_TRUE(c.x.most);
  const auto layers = rows_of(c)["layers"];
  const auto alike = std::ranges::find_if(layers, [](const Mark& m) { return m.tip.find("alike") != std::string::npos; });
  EXPECT_GT(*c.x.most, alike->x);
  EXPECT_LT(*c.x.most, alike->x + alike->size);
}

TEST(TimelineChart, SaysWhyThereIsNothing) {
  EXPECT_THAT(timeline_chart(one_gpu(), PhaseName::decode).empty, testing::StartsWith("decode does not fit: "));
  EXPECT_THAT(timeline_chart(faulty(), PhaseName::decode).empty, testing::StartsWith("line 1: workload.isl: "));
}

}  // namespace
}  // namespace fathom::gui
