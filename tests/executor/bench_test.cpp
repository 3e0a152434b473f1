#include "executor/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "model_spec/model.h"

namespace fathom::executor {
namespace {

using namespace model_spec;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

const Group token{1, 1, 4096}, chunk{1, 4096, 0};

std::vector<BenchRecord> records(std::vector<Group> points, std::vector<std::string> ops, Numerics numerics = Numerics::fp8) {
  return bench_records(plan(find_model("deepseek-v3.2"), {}, {}), numerics, points, ops);
}

TEST(BenchRecords, StepsWithTheSameOperatorAreOne) {
  const auto all = records({token}, {"rms_norm"});
  for (const auto& r : all) EXPECT_EQ(op_name(r.op), "rms_norm");
  std::set<std::string> texts;
  std::vector<std::string> labels;
  for (const auto& r : all) {
    EXPECT_TRUE(texts.insert(sizes_text(r.op)).second) << sizes_text(r.op);
    labels.insert(labels.end(), r.labels.begin(), r.labels.end());
  }
  EXPECT_EQ(std::ranges::count(labels, "ffn_norm"), 2);  // of dense layers, and of MoE layers, which keep bf16 for the router
  EXPECT_THAT(labels, Contains("final_norm"));
}

TEST(BenchRecords, PointsThatDoNotMatterToAnOperatorDoNotRepeatIt) {
  const auto once = records({token}, {"gemm"}).size();
  EXPECT_EQ(records({token, {1, 1, 32768}}, {"gemm"}).size(), once);
  EXPECT_GT(records({token, {2, 1, 4096}}, {"gemm"}).size(), once);
  const auto keys = records({token, {1, 1, 32768}}, {"index_logits"});
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[1].at, (Group{1, 1, 32768}));
  EXPECT_THAT(keys[1].labels, ElementsAre("index_logits"));
}

TEST(BenchRecords, AreThoseOfAStep) {
  const auto decode = records({{32, 1, 4096}}, {"gemm"});
  const auto head = std::ranges::find_if(decode, [](const BenchRecord& r) { return r.labels.front() == "lm_head"; });
  ASSERT_NE(head, decode.end());
  EXPECT_EQ(std::get<Gemm<std::int64_t>>(head->op).tokens, 32);  // every token of a decode step
  const auto prompt = records({chunk}, {"sample"});
  ASSERT_EQ(prompt.size(), 1U);
  EXPECT_EQ(std::get<Sample<std::int64_t>>(prompt[0].op).tokens, 1);  // the last one of a prompt
}

TEST(BenchRecords, AllKindsWithoutNames) {
  std::set<std::string_view> kinds;
  for (const auto& r : records({token, chunk}, {})) kinds.insert(op_name(r.op));
  for (const auto* kind : {"embedding", "gemm", "grouped_gemm", "sparse_mla", "dense_mha", "top_k", "gate", "sample"})
    EXPECT_TRUE(kinds.contains(kind)) << kind;
  EXPECT_FALSE(kinds.contains("all_reduce"));
}

TEST(BenchRecords, InTheNumericsOfTheKernels) {
  for (const auto& r : records({token}, {"gemm"}, Numerics::bf16)) EXPECT_EQ(std::get<Gemm<std::int64_t>>(r.op).activation, DType::bf16) << r.labels.front();
}

TEST(BenchRecords, KeysOfACopyAreAnotherCase) {
  const auto plan_of = plan(find_model("deepseek-v3.2"), {}, {.prefill_attention = PrefillAttention::mqa});
  const std::vector<Group> points{token, {1, 4096, 4096}};
  const std::vector<std::string> ops{"sparse_mla"};
  const auto all = bench_records(plan_of, Numerics::fp8, points, ops);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_FALSE(all[0].from_copy);
  EXPECT_TRUE(all[1].from_copy);
}

TEST(BenchOrder, IsAFixedShuffle) {
  const auto order = bench_order(100);
  EXPECT_EQ(order, bench_order(100));
  EXPECT_FALSE(std::ranges::is_sorted(order));
  auto sorted = order;
  std::ranges::sort(sorted);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(sorted[i], i);
  EXPECT_TRUE(bench_order(0).empty());
}

TEST(Quantiles, OfAFewValues) {
  const auto q = quantiles({11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  EXPECT_DOUBLE_EQ(q.p10, 2);
  EXPECT_DOUBLE_EQ(q.median, 6);
  EXPECT_DOUBLE_EQ(q.p90, 10);
  EXPECT_DOUBLE_EQ(quantiles({1, 2}).median, 1.5);
  EXPECT_DOUBLE_EQ(quantiles({1, 2}).p10, 1.1);
  EXPECT_DOUBLE_EQ(quantiles({7}).p90, 7);
}

TEST(OperandSets, AreTogetherLargerThanWhatShallNotHoldThem) {
  EXPECT_EQ(operand_sets(1e6, 200e6), 201);
  EXPECT_EQ(operand_sets(150e6, 200e6), 2);
  EXPECT_EQ(operand_sets(300e6, 200e6), 1);
  EXPECT_EQ(operand_sets(100, 200e6), most_sets);
  EXPECT_EQ(operand_sets(0, 200e6), most_sets);
}

TEST(BalancedChoices, AreDistinctForEachTokenAndSpreadOut) {
  const auto choices = balanced_choices(256, 8, 64, 0);
  ASSERT_EQ(choices.size(), 256U * 8U);
  std::vector<int> loads(64);
  for (std::size_t t = 0; t < 256; ++t) {
    const std::set<std::int32_t> own(choices.begin() + static_cast<std::ptrdiff_t>(8 * t), choices.begin() + static_cast<std::ptrdiff_t>(8 * t + 8));
    EXPECT_EQ(own.size(), 8U);
    for (const auto e : own) ++loads.at(static_cast<std::size_t>(e));
  }
  const auto [least, most] = std::ranges::minmax(loads);
  EXPECT_GT(least, 10);  // 32 on average, standard deviation 5.3
  EXPECT_LT(most, 54);
}

TEST(BalancedChoices, OfAnotherSetAreOtherExpertsWithTheSameLoads) {
  const auto loads = [](std::int64_t set) {
    std::vector<int> n(64);
    for (const auto e : balanced_choices(5, 4, 64, set)) ++n.at(static_cast<std::size_t>(e));
    return n;
  };
  auto a = loads(0), b = loads(1);
  EXPECT_NE(a, b);
  std::ranges::sort(a), std::ranges::sort(b);
  EXPECT_EQ(a, b);
}

}  // namespace
}  // namespace fathom::executor
