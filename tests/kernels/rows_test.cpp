// Kernels that work on one row at a time: norms, quantisation, RoPE, Hadamard, SwiGLU, embedding, sampling.
#include <gmock/gmock.h>

#include "kernels/cpu/embedding.h"
#include "kernels/cpu/hadamard.h"
#include "kernels/cpu/layer_norm.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/sample.h"
#include "kernels/cpu/swiglu.h"
#include "tests/kernels/arrays.h"

namespace fathom::kernels::cpu {
namespace {

using testing::ElementsAre;
using I = std::int64_t;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row;

TEST(RmsNorm, DividesByTheRootOfTheMeanSquare) {
  const Array x(bf16, 1, 4, {1, 1, 7, 7}), w(bf16, 1, 4, {1, 2, 1, -1});  // mean square 25
  Array y(fp32, 1, 4), none;
  rms_norm<float>({.tokens = 1, .width = 4, .output = fp32}, 0, Scales::exact, x, none, w, y, none);
  EXPECT_THAT(row_of(y, 0), testing::Pointwise(testing::FloatEq(), {0.2f, 0.4f, 1.4f, -1.4f}));
  rms_norm<float>({.tokens = 1, .width = 4, .output = fp32}, 75, Scales::exact, x, none, w, y, none);  // 25 + eps = 100
  EXPECT_FLOAT_EQ(y.get(0, 2), 0.7f);
}

TEST(RmsNorm, NormsTheUnroundedSumAndStoresItRounded) {
  const Array x(bf16, 1, 1, {256}), w(bf16, 1, 1, {1});
  Array residual(bf16, 1, 1, {1}), y(fp32, 1, 1), none;
  rms_norm<float>({.tokens = 1, .width = 1, .residual = true, .output = fp32}, 257.0f * 257.0f * 3, Scales::exact, x, residual, w, y, none);
  EXPECT_FLOAT_EQ(y.get(0, 0), 0.5f);     // 257 / sqrt(4 * 257^2); a rounded 256 would give 0.4985
  EXPECT_EQ(residual.get(0, 0), 256.0f);  // 257 is not a bf16
}

TEST(RmsNorm, FusedQuantisationEqualsTheSeparateOne) {
  const Array x = random_array(bf16, 3, 200), w = random_array(bf16, 1, 200, 2);
  Array plain_y(bf16, 3, 200), fused(fp8_row, 3, 200), separate(fp8_row, 3, 200), kept(bf16, 3, 200), none;
  rms_norm<float>({.tokens = 3, .width = 200}, 1e-6f, Scales::ue8m0, x, none, w, plain_y, none);
  rms_norm<float>({.tokens = 3, .width = 200, .output = fp8_row, .keep_bf16 = true}, 1e-6f, Scales::ue8m0, x, none, w, fused, kept);
  quantise<float>({.tokens = 3, .width = 200, .output = fp8_row}, Scales::ue8m0, plain_y, separate);
  for (I t = 0; t < 3; ++t) {
    EXPECT_EQ(row_of(kept, t), row_of(plain_y, t));
    EXPECT_EQ(row_of(fused, t), row_of(separate, t));
    for (const I c : {0, 128}) EXPECT_EQ(fused.scale(t, c), separate.scale(t, c));
  }
}

TEST(LayerNorm, SubtractsTheMeanAndAddsTheBias) {
  const Array x(bf16, 1, 4, {1, 3, 5, 7}), w(fp32, 1, 4, {1, 1, 1, 2}), b(fp32, 1, 4, {0, 10, 0, 0});  // mean 4, variance 5
  Array y(fp32, 1, 4);
  layer_norm<float>({.tokens = 1, .width = 4}, 4, x, w, b, y);  // variance + eps = 9
  EXPECT_THAT(row_of(y, 0), testing::Pointwise(testing::FloatEq(), {-1.0f, 10 - 1 / 3.0f, 1 / 3.0f, 2.0f}));
}

TEST(Quantise, ScalesTheLargestNumberToTheLargestOfTheType) {
  const Array x(bf16, 1, 4, {-8, 4, 1, 0});
  struct Case {
    DType type;
    float scale;
    std::vector<float> row;
  };
  for (const auto& [type, scale, row] : {Case{fp8_row, 8 / 448.0f, {-448, 224, 56, 0}}, Case{DType::int8, 8 / 127.0f, {-127, 64, 16, 0}},
                                         Case{DType::fp4, 1.375f, {-6, 3, 0.5f, 0}}}) {  // 8 / 6 in e4m3 is 1.375
    Array q(type, 1, 4);
    quantise<float>({.tokens = 1, .width = 4, .output = type}, Scales::exact, x, q);
    EXPECT_FLOAT_EQ(q.scale(0, 0), scale) << name_of(type);
    EXPECT_EQ(row_of(q, 0), row) << name_of(type);
  }
}

TEST(Quantise, Ue8m0RoundsTheScaleUp) {
  const Array x(bf16, 2, 2, {-8, 4, 0, 0});
  Array q(fp8_row, 2, 2);
  quantise<float>({.tokens = 2, .width = 2, .output = fp8_row}, Scales::ue8m0, x, q);
  EXPECT_EQ(q.scale(0, 0), 0x1p-5f);  // 8 / 448 = 0.0179
  EXPECT_THAT(row_of(q, 0), ElementsAre(-256, 128));
  EXPECT_EQ(q.scale(1, 0), 0x1p-22f);  // zeros: the floor 1e-4
}

TEST(Quantise, EachGroupHasItsOwnScale) {
  Array x(bf16, 1, 129), q(fp8_row, 1, 129);
  x.set(0, 0, 448);
  x.set(0, 128, 0.875f);
  quantise<float>({.tokens = 1, .width = 129, .output = fp8_row}, Scales::ue8m0, x, q);
  EXPECT_EQ(q.scale(0, 0), 1);
  EXPECT_EQ(q.scale(0, 128), 0x1p-9f);
  EXPECT_EQ(q.get(0, 128), 448);
}

TEST(Rope, RotatesNeighboursOrHalves) {
  const Array cosines(fp32, 1, 2, {0, 1}), sines(fp32, 1, 2, {1, 0});  // the first pair by 90 degrees, the second not
  Array interleaved(bf16, 1, 4, {1, 2, 3, 4}), halves(bf16, 1, 4, {1, 2, 3, 4});
  rope<float>({.tokens = 1, .heads = 1, .dims = 4, .interleaved = true}, interleaved, cosines, sines);
  rope<float>({.tokens = 1, .heads = 1, .dims = 4, .interleaved = false}, halves, cosines, sines);
  EXPECT_THAT(row_of(interleaved, 0), ElementsAre(-2, 1, 3, 4));
  EXPECT_THAT(row_of(halves, 0), ElementsAre(-3, 2, 1, 4));
}

TEST(Rope, HeadsOfATokenShareItsAngle) {
  const Array cosines(fp32, 2, 1, {1, 0}), sines(fp32, 2, 1, {0, 1});
  Array x(bf16, 4, 2, {1, 2, 3, 4, 5, 6, 7, 8});
  rope<float>({.tokens = 2, .heads = 2, .dims = 2}, x, cosines, sines);
  EXPECT_THAT(row_of(x, 1), ElementsAre(3, 4));
  EXPECT_THAT(row_of(x, 3), ElementsAre(-8, 7));
}

TEST(Hadamard, IsTheSylvesterMatrix) {
  const Array x(bf16, 1, 4, {1, 2, 3, 5});
  Array y(bf16, 1, 4);
  hadamard<float>({.tokens = 1, .heads = 1, .width = 4, .stages = 2}, Scales::exact, x, y);
  EXPECT_THAT(row_of(y, 0), ElementsAre(5.5, -1.5, -2.5, 0.5));
}

TEST(Hadamard, TwiceIsTheIdentity) {
  const Array x = random_array(fp32, 2, 128);
  Array once(fp32, 2, 128), twice(fp32, 2, 128);
  const model_spec::Hadamard<I> op{.tokens = 1, .heads = 2, .width = 128, .stages = 7, .output = fp32};
  hadamard<float>(op, Scales::exact, x, once);
  hadamard<float>(op, Scales::exact, once, twice);
  for (I r = 0; r < 2; ++r) EXPECT_THAT(row_of(twice, r), testing::Pointwise(testing::FloatNear(1e-5f), row_of(x, r)));
}

TEST(SwiGlu, GatesTheSecondHalfByTheFirst) {
  const Array x(bf16, 1, 6, {0, 2, -2, 3, 4, 4});
  Array y(fp32, 1, 3);
  swiglu<float>({.rows = 1, .width = 3, .output = fp32}, Scales::exact, x, y);
  EXPECT_THAT(row_of(y, 0), testing::Pointwise(testing::FloatNear(1e-5f), {0.0f, 7.0463766f, -0.9536234f}));  // 4 * 2 / (1 + e^-2)
}

TEST(Embedding, PicksRowsAndLeavesOthersToOtherRanks) {
  const Array ids(DType::int32, 1, 3, {11, 3, 10}), table(bf16, 2, 2, {1, 2, 3, 4});
  Array y(bf16, 3, 2);
  embedding<float>({.tokens = 3, .hidden = 2, .vocab = 2}, 10, ids, table, y);
  EXPECT_THAT(row_of(y, 0), ElementsAre(3, 4));
  EXPECT_THAT(row_of(y, 1), ElementsAre(0, 0));
  EXPECT_THAT(row_of(y, 2), ElementsAre(1, 2));
}

TEST(Sample, ZeroTemperatureTakesTheLargestAndTheFirstOfEquals) {
  const Array logits(fp32, 2, 4, {1, 5, 5, 2, -3, -2, -9, -2});
  Array ids(DType::int32, 1, 2);
  const auto noise = [](I, I) -> float {
    ADD_FAILURE();
    return 1;
  };
  sample<float>({.tokens = 2, .vocab = 4}, 0, logits, noise, ids);
  EXPECT_THAT(integers_of(ids, 0), ElementsAre(1, 1));
}

TEST(Sample, NoiseAndTemperatureDecide) {
  const Array logits(fp32, 1, 2, {2, 1});
  Array ids(DType::int32, 1, 1);
  const auto noise = [](I, I v) { return v == 0 ? 4.0f : 1.0f; };
  sample<float>({.tokens = 1, .vocab = 2}, 1, logits, noise, ids);  // 1 / 4 against e^-1
  EXPECT_EQ(ids.integer(0, 0), 1);
  sample<float>({.tokens = 1, .vocab = 2}, 0.5f, logits, noise, ids);  // 1 / 4 against e^-2
  EXPECT_EQ(ids.integer(0, 0), 0);
}

}  // namespace
}  // namespace fathom::kernels::cpu
