#include <gmock/gmock.h>

#include "kernels/cpu/batched_gemm.h"
#include "kernels/cpu/grouped_gemm.h"
#include "tests/kernels/arrays.h"

namespace fathom::kernels::cpu {
namespace {

using testing::ElementsAre;
using I = std::int64_t;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row, fp8_block = DType::fp8_block;

TEST(Gemm, WeightsStandOutByIn) {
  const Array a(bf16, 2, 3, {1, 2, 3, 4, 5, 6}), w(bf16, 2, 3, {1, 0, -1, 2, 1, 0});
  Array c(bf16, 2, 2);
  gemm<float>({.tokens = 2, .in = 3, .out = 2}, a, w, c);
  EXPECT_THAT(row_of(c, 0), ElementsAre(-2, 4));
  EXPECT_THAT(row_of(c, 1), ElementsAre(-2, 13));
}

// in = 129 and out = 129: two groups along k and two blocks along the rows of W.
TEST(Gemm, EachBlockHasItsScales) {
  Array a(fp8_row, 1, 129), w(fp8_block, 129, 129), c(fp32, 1, 129);
  for (const I n : {0, 128}) {
    w.set(n, 0, 1);
    w.set(n, 128, 1);
  }
  a.set(0, 0, 1);
  a.set(0, 128, 1);
  a.set_scale(0, 0, 2);
  a.set_scale(0, 128, 3);
  for (const auto& [r, k, s] : {std::tuple{0, 0, 10.0f}, {0, 128, 100.0f}, {128, 0, 1000.0f}, {128, 128, 10000.0f}}) w.set_scale(r, k, s);
  gemm<float>({.tokens = 1, .in = 129, .out = 129, .weight = fp8_block, .activation = fp8_row, .output = fp32}, a, w, c);
  EXPECT_EQ(c.get(0, 0), 2 * 10 + 3 * 100);
  EXPECT_EQ(c.get(0, 128), 2 * 1000 + 3 * 10000);
}

TEST(Gemm, EveryStorageGivesTheProductOfItsDequantisedOperands) {
  for (const DType weight : {fp32, bf16, fp8_block, DType::int8, DType::int4_group, DType::fp4}) {
    const DType activation = model_spec::activation_for(weight);
    const Array a = random_array(activation, 2, 261), w = random_array(weight, 3, 261, 2);
    Array c(fp32, 2, 3);
    gemm<float>({.tokens = 2, .in = 261, .out = 3, .weight = weight, .activation = activation, .output = fp32}, a, w, c);
    for (I t = 0; t < 2; ++t)
      for (I n = 0; n < 3; ++n) {
        const auto x = load_row<double>(activation, a, t, 261), y = load_row<double>(weight, w, n, 261);
        double dot = 0, size = 0;
        for (std::size_t k = 0; k < x.size(); ++k) {
          dot += x[k] * y[k];
          size += std::abs(x[k] * y[k]);
        }
        EXPECT_NEAR(c.get(t, n), dot, 1e-6 * size) << name_of(weight);
      }
  }
}

TEST(GroupedGemm, RowsMeetTheWeightsOfTheirExpert) {
  const Array a(bf16, 3, 2, {1, 2, 3, 4, 5, 6}), counts(DType::int32, 1, 3, {1, 0, 2});
  std::vector<Array> w;
  for (const double e : {1.0, 10.0, 100.0}) w.emplace_back(bf16, 1, 2, std::initializer_list<double>{e, e});
  Array c(fp32, 3, 1);
  const model_spec::GroupedGemm<I> op{
      .capacity = 3, .experts = 3, .in = 2, .out = 1, .rows = 3, .active = 2, .largest = 2, .weight = bf16, .activation = bf16, .output = fp32};
  grouped_gemm<float>(op, a, counts, w, c);
  EXPECT_EQ(c.get(0, 0), 3);
  EXPECT_EQ(c.get(1, 0), 700);
  EXPECT_EQ(c.get(2, 0), 1100);
}

TEST(BatchedGemm, WeightsStandInByOutForEachHead) {
  const Array a(bf16, 4, 2, {1, 2, 3, 4, 5, 6, 7, 8});  // two tokens of two heads
  std::vector<Array> w;
  w.emplace_back(bf16, 2, 1, std::initializer_list<double>{1, 10});
  w.emplace_back(bf16, 2, 1, std::initializer_list<double>{2, 0});
  Array c(bf16, 4, 1);
  batched_gemm<float>({.tokens = 2, .heads = 2, .in = 2, .out = 1}, a, w, c);
  for (const auto& [row, value] : {std::pair{0, 21}, {1, 6}, {2, 65}, {3, 14}}) EXPECT_EQ(c.get(row, 0), value);
}

TEST(BatchedGemm, DequantisesScaledWeights) {
  const Array a(bf16, 1, 2, {1, 2});
  std::vector<Array> w;
  w.emplace_back(DType::int8, 2, 1, std::initializer_list<double>{3, 5});
  w[0].set_scale(1, 0, 0.5f);
  Array c(bf16, 1, 1);
  batched_gemm<float>({.tokens = 1, .heads = 1, .in = 2, .out = 1, .weight = DType::int8}, a, w, c);
  EXPECT_EQ(c.get(0, 0), 8);
}

}  // namespace
}  // namespace fathom::kernels::cpu
