// Choices and what follows from them: top-k, gate, permute and back.
#include <gmock/gmock.h>

#include "kernels/cpu/gate.h"
#include "kernels/cpu/permute.h"
#include "kernels/cpu/top_k.h"
#include "tests/kernels/arrays.h"

namespace fathom::kernels::cpu {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;
using I = std::int64_t;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, int32 = DType::int32;

TEST(TopK, TakesTheLargestOfEachCausalRow) {
  const Array scores(fp32, 3, 4, {5, 1, 9, 9, 2, 7, 3, 9, 4, 1, 3, 2});
  Array indices(int32, 3, 3);
  top_k<float>({.sequences = 1, .new_tokens = 3, .cached_tokens = 1, .topk = 3}, scores, indices);
  EXPECT_THAT(integers_of(indices, 0), ElementsAre(0, 1, -1));  // two keys in sight
  EXPECT_THAT(integers_of(indices, 1), ElementsAre(0, 1, 2));
  EXPECT_THAT(integers_of(indices, 2), ElementsAre(0, 2, 3));
}

TEST(TopK, TiesGoToTheSmallerIndexAndZeroHasNoSign) {
  const Array scores(fp32, 1, 6, {-1, -0.0, 0, 3, 0, -0.0});
  Array indices(int32, 1, 3);
  top_k<float>({.sequences = 1, .new_tokens = 1, .cached_tokens = 5, .topk = 3}, scores, indices);
  EXPECT_THAT(integers_of(indices, 0), ElementsAre(1, 2, 3));
}

double logit(double p) { return std::log(p / (1 - p)); }

// Three groups of two experts, two kept. Biased scores {1, .25} {.5, .5} {.75, .25}: the group sums are 1.25, 1 and 1, so that the last
// group loses the tie though it holds the second best expert. Of the equal experts 2 and 3 the smaller is taken.
TEST(Gate, ChoosesByBiasedScoresWithinTheBestGroups) {
  const Array logits(fp32, 1, 6, {logit(0.75), 0, 0, 0, 0, 0}), bias(fp32, 1, 6, {0.25, -0.25, 0, 0, 0.25, -0.25});
  Array ids(int32, 1, 2), weights(fp32, 1, 2);
  gate<float>({.tokens = 1, .experts = 6, .groups = 3, .topk_group = 2, .topk = 2}, 2.5f, logits, bias, ids, weights);
  EXPECT_THAT(integers_of(ids, 0), ElementsAre(0, 2));
  EXPECT_THAT(row_of(weights, 0), Pointwise(FloatNear(1e-6f), {1.5f, 1.0f}));  // 0.75 and 0.5 of 1.25, times 2.5: without the bias
}

TEST(Gate, AGroupScoresItsTwoBestNotItsBest) {
  const Array logits(fp32, 1, 6, {logit(0.9), logit(0.05), logit(0.05), logit(0.6), logit(0.1), logit(0.6)}), bias(fp32, 1, 6);
  Array ids(int32, 1, 2), weights(fp32, 1, 2);
  gate<float>({.tokens = 1, .experts = 6, .groups = 2, .topk_group = 1, .topk = 2}, 1, logits, bias, ids, weights);
  EXPECT_THAT(integers_of(ids, 0), ElementsAre(3, 5));  // 1.2 against 0.95
  EXPECT_THAT(row_of(weights, 0), Pointwise(FloatNear(1e-6f), {0.5f, 0.5f}));
}

TEST(Gate, ADroppedGroupGivesNoExpertEvenIfAllOthersAreNegative) {
  const Array logits(fp32, 1, 4, {0, 0, 0, 0}), bias(fp32, 1, 4, {-2, -2, -3, -1.5});  // sums -3 and -3.5
  Array ids(int32, 1, 2), weights(fp32, 1, 2);
  gate<float>({.tokens = 1, .experts = 4, .groups = 2, .topk_group = 1, .topk = 2}, 1, logits, bias, ids, weights);
  EXPECT_THAT(integers_of(ids, 0), ElementsAre(0, 1));
}

TEST(Permute, MovesRowsWithTheirScales) {
  Array x(DType::fp8_row, 2, 2, {1, 2, 3, 4}), y(DType::fp8_row, 3, 2);
  x.set_scale(1, 0, 0.5f);
  permute<float>({.tokens = 2, .rows = 3, .hidden = 2, .type = DType::fp8_row}, x, Array(int32, 1, 3, {1, 0, 1}), y);
  EXPECT_THAT(row_of(y, 0), ElementsAre(3, 4));
  EXPECT_THAT(row_of(y, 1), ElementsAre(1, 2));
  EXPECT_EQ(y.scale(2, 0), 0.5f);
  EXPECT_EQ(y.scale(1, 0), 1);
}

TEST(Unpermute, SumsTheWeightedRowsOfEachToken) {
  const Array x(bf16, 3, 2, {1, 2, 10, 20, 100, 200}), w(fp32, 1, 3, {2, 1, 0.5});
  Array y(bf16, 3, 2, {7, 7, 7, 7, 7, 7});
  unpermute<float>({.tokens = 3, .rows = 3, .hidden = 2}, x, w, Array(int32, 1, 3, {1, 0, 1}), y);
  EXPECT_THAT(row_of(y, 0), ElementsAre(10, 20));
  EXPECT_THAT(row_of(y, 1), ElementsAre(52, 104));
  EXPECT_THAT(row_of(y, 2), ElementsAre(0, 0));  // a token without rows
}

TEST(Add, SumsInPlace) {
  Array x(bf16, 1, 2, {1, 2});
  add<float>({.tokens = 1, .hidden = 2}, x, Array(bf16, 1, 2, {10, 256}), x);
  EXPECT_THAT(row_of(x, 0), ElementsAre(11, 258));
}

}  // namespace
}  // namespace fathom::kernels::cpu
