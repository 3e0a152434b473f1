#include "simulator/compare.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "simulator/simulate.h"
#include "tests/simulator/fixture.h"

namespace fathom::simulator {
namespace {

constexpr Layout two_stages{.pp = 2};

std::vector<Trace> predicted_traces(const Batch& batch) {
  const auto p = plan(cut(find_model("deepseek-v3.2"), 5, 16), two_stages, {}, true);
  const auto machine = prepare(round_profile(), round_calibration(), p);
  BoundPlan bound;
  std::vector<Trace> traces(p.stages.size());
  for (std::size_t stage = 0; stage < traces.size(); ++stage) simulate(p, stage, machine, batch, bound, traces[stage]);
  return traces;
}

// Three times as long, 1 ms more around the steps, and in another order.
std::vector<Trace> slower(std::vector<Trace> traces) {
  for (auto& t : traces) {
    std::ranges::reverse(t.steps);
    for (auto& s : t.steps) s.duration *= 3;
    t.total = t.total * 3.0 + Seconds{1e-3};
  }
  return traces;
}

TEST(Compare, JoinsStepsByWhatTheyAre) {
  const auto predicted = predicted_traces({.groups = {{2, 1, 100}, {1, 1, 300}}, .sampled = 3, .dp_tokens = {}});
  const auto c = compare(slower(predicted), predicted);
  Seconds sum;
  for (const auto& row : c.labels) {
    EXPECT_DOUBLE_EQ(row.measured.value, 3 * row.predicted.value) << row.label;
    sum += row.predicted;
  }
  EXPECT_DOUBLE_EQ(c.predicted.value, (predicted[0].total + predicted[1].total).value);
  EXPECT_DOUBLE_EQ(c.measured.value, 3 * c.predicted.value + 2e-3);
  EXPECT_NEAR(sum.value, c.predicted.value, 1e-12);
}

TEST(Compare, ALabelStandsOnceWithAllItsRuns) {
  const auto predicted = predicted_traces(decode(1, 100));
  const auto c = compare(predicted, predicted);
  const auto runs = [&](std::string_view label) {
    std::int64_t n = 0;
    for (const auto& row : c.labels) n += row.label == label ? row.runs : 0;
    return n;
  };
  EXPECT_EQ(runs("o_proj"), 5);  // a layer each
  EXPECT_EQ(runs("gate"), 2);    // MoE layers 3 and 4
  EXPECT_EQ(runs("lm_head"), 1);
  for (const auto& row : c.labels) EXPECT_EQ(std::ranges::count(c.labels, row.label, &ComparedLabel::label), 1) << row.label;
}

TEST(Speed, OfAProduct) {
  const Gemm<std::int64_t> op{.tokens = 1000, .in = 1000, .out = 100'000};  // 200 GFLOP in BF16, 402 MB
  const auto s = speed_of(round_machine({}), op, Seconds{4e-3});
  EXPECT_DOUBLE_EQ(s.flops.value, 50e12);
  EXPECT_DOUBLE_EQ(s.bytes.value, (2e6 + 2e8 + 2e8) / 4e-3);
  EXPECT_DOUBLE_EQ(s.predicted.floor.value, 2e-3);
  EXPECT_DOUBLE_EQ(s.predicted.total.value, 2e-3 + 1e-6);
  EXPECT_DOUBLE_EQ(s.floor_share, 0.5);
  EXPECT_TRUE(s.possible());
}

TEST(Speed, FasterThanTheFloorIsImpossible) {
  const Add<std::int64_t> op{.tokens = 1000, .hidden = 1000};  // 6 MB at 1 TB/s
  EXPECT_TRUE(speed_of(round_machine({}), op, Seconds{6.001e-6}).possible());
  EXPECT_FALSE(speed_of(round_machine({}), op, Seconds{5.999e-6}).possible());
  EXPECT_DOUBLE_EQ(speed_of(round_machine({}), op, Seconds{5e-6}).flops.value, 0);
}

}  // namespace
}  // namespace fathom::simulator
