// The blocked kernels against the naive ones. A sum of k products of numbers below one wanders to about sqrt(k), so k roundings of 2^-24 of
// that, adding up as a random walk, come to about k * 2^-24: what `rounding` allows.
#include "kernels/cpu/blocked.h"

#include <limits>

#include "kernels/cpu/batched_gemm.h"
#include "kernels/cpu/grouped_gemm.h"
#include "kernels/cpu/index_logits.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/rows.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels::cpu {
namespace {

using testing::Pointwise;
using I = std::int64_t;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row, fp8_block = DType::fp8_block, int32 = DType::int32;
const DType weight_types[] = {fp32, bf16, fp8_block, fp8_row, DType::int8, DType::int4_group, DType::fp4};

float largest_of(DType t) { return t == DType::int8 ? 127.0f : t == DType::int4_group ? 7.0f : t == DType::fp4 ? 6.0f : 1.0f; }
float rounding(I k, float size = 1) { return size * 0x1p-24f * static_cast<float>(k + 8); }

std::vector<ConstMatrix> views(const std::vector<Array>& arrays) { return {arrays.begin(), arrays.end()}; }
blocked::LoadRow reader(const Array& keys) {
  return [&keys](I row, float* out) { expand_row(keys, row, 0, keys.columns(), out); };
}

TEST(Rows, ExpandAsLoadRowDoes) {
  for (const DType type : weight_types) {
    const Array x = random_array(type, 3, 290);
    const auto whole = load_row<float>(type, x, 2, 290);
    for (const auto& [first, count] : {std::pair<I, I>{0, 290}, {1, 0}, {3, 127}, {128, 130}, {289, 1}}) {
      std::vector<float> part(static_cast<std::size_t>(count));
      expand_row(x, 2, first, count, part.data());
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + first)) << name_of(type) << " from " << first;
    }
  }
}

TEST(Rows, EveryE4m3CodeExpands) {
  for (int code = 0; code < 256; ++code) {
    const auto byte = static_cast<std::byte>(code);
    float x = 0;
    expand_e4m3(1, &byte, 2, &x);
    const float right = 2 * decode_e4m3(static_cast<std::uint8_t>(code));
    EXPECT_TRUE(x == right || (std::isnan(x) && std::isnan(right))) << code;
    EXPECT_EQ(std::signbit(x), std::signbit(right)) << code;
  }
}

TEST(Rows, StoreAsSetDoes) {
  const float values[] = {1.00390625f, 1.01171875f, -3.3f, std::numeric_limits<float>::quiet_NaN()};  // two ties: to even, down and up
  for (const DType type : {fp32, bf16, DType::int8}) {
    Array by_row(type, 2, 6), by_element(type, 2, 6);
    const I count = type == DType::int8 ? 3 : 4;
    store_row(by_row, 1, 2, count, values);
    for (I c = 0; c < count; ++c) by_element.set(1, 2 + c, values[c]);
    EXPECT_THAT(row_of(by_row, 0), testing::Each(0));
    EXPECT_THAT(row_of(by_row, 1), Pointwise(testing::NanSensitiveFloatEq(), row_of(by_element, 1)));
  }
}

// One value alone and among others, so that vectors and what is left over are met; e^-87.4 is below the normal numbers.
TEST(Exponentials, AreWithinTwoUnitsOfTheLastPlace) {
  for (const I n : {1, 16, 37})
    for (double x = -87; x <= 0; x += 0.0137) {
      std::vector<float> values(static_cast<std::size_t>(n), static_cast<float>(x));
      const double right = std::exp(static_cast<double>(values[0])), sum = exponentials(n, 1, 0, values.data());
      for (const float value : values) ASSERT_NEAR(value, right, right * 0x1p-23) << x;
      ASSERT_NEAR(sum, right * static_cast<double>(n), right * static_cast<double>(n * (n + 2)) * 0x1p-24);  // n additions
    }
  float low[] = {-std::numeric_limits<float>::infinity(), -88, -1e30f, 3};
  EXPECT_FLOAT_EQ(exponentials(4, 2, 6, low), 1);
  EXPECT_THAT(low, testing::ElementsAre(0, 0, 0, 1));
}

TEST(Product, EverySizeOfTileAndRest) {
  for (const I m : {1, 3, 6, 17})
    for (const I n : {1, 3, 6, 17, 65, 130})
      for (const I k : {1, 3, 17, 130, 1025}) {
        const Array a = random_array(fp32, m, k + 2), b = random_array(fp32, n, k + 1, 2);
        Array transposed(fp32, k, n + 3), nt(fp32, m, n + 1), nn(fp32, m, n + 1), right(fp32, m, n);
        for (I r = 0; r < k; ++r)
          for (I c = 0; c < n; ++c) transposed.set(r, c, b.get(c, r));
        gemm<float>({.tokens = m, .in = k, .out = n, .weight = fp32, .activation = fp32, .output = fp32}, a, b, right);
        const auto floats = [](const Array& x) { return reinterpret_cast<float*>(x.data()); };
        product_nt(m, n, k, floats(a), k + 2, floats(b), k + 1, floats(nt), n + 1, false);
        product_nn(m, n, k, floats(a), k + 2, floats(transposed), n + 3, floats(nn), n + 1, false);
        expect_near(nt.slice(0, n), right, rounding(k));
        expect_near(nn.slice(0, n), right, rounding(k));
        for (I r = 0; r < m; ++r) EXPECT_EQ(nt.get(r, n) + nn.get(r, n), 0);  // nothing beside the result is written
        product_nt(m, n, k, floats(a), k + 2, floats(b), k + 1, floats(nt), n + 1, true);
        product_nn(m, n, k, floats(a), k + 2, floats(transposed), n + 3, floats(nn), n + 1, true);
        for (I r = 0; r < m; ++r) EXPECT_NEAR(nt.get(r, n - 1), 2 * right.get(r, n - 1), 2 * rounding(k));
        for (I r = 0; r < m; ++r) EXPECT_NEAR(nn.get(r, n - 1), 2 * right.get(r, n - 1), 2 * rounding(k));
      }
}

TEST(BlockedGemm, AgreesForEveryStorage) {
  for (const DType weight : weight_types)
    for (const auto& [tokens, in, out] : {std::tuple<I, I, I>{1, 130, 17}, {3, 1153, 49}, {17, 129, 3}, {5, 1, 1}}) {
      const DType activation = model_spec::activation_for(weight);
      const Array a = random_array(activation, tokens, in), w = random_array(weight, out, in, 2);
      const model_spec::Gemm<I> op{.tokens = tokens, .in = in, .out = out, .weight = weight, .activation = activation, .output = fp32};
      Array naive(fp32, tokens, out), fast(fp32, tokens, out);
      gemm<float>(op, a, w, naive);
      blocked::gemm(op, a, w, fast);
      expect_near(fast, naive, rounding(in, largest_of(weight) * largest_of(activation)));
    }
}

TEST(BlockedGemm, TakesManyRowsIntoASliceAsBf16) {
  const model_spec::Gemm<I> op{.tokens = 576, .in = 33, .out = 50, .weight = fp8_block, .activation = fp8_row, .output = bf16};
  const Array a = random_array(fp8_row, 576, 33), w = random_array(fp8_block, 50, 33, 2);
  Array naive(fp32, 576, 50), all(bf16, 576, 60);
  gemm<float>(op, a, w, naive);
  Matrix part = all.slice(7, 50);
  blocked::gemm(op, a, w, part);
  for (I r = 0; r < 576; ++r)
    for (I c = 0; c < 60; ++c) {
      const float right = c < 7 || c >= 57 ? 0 : naive.get(r, c - 7);
      ASSERT_NEAR(all.get(r, c), right, rounding(33) + std::abs(right) * 0x1p-8f);
    }
}

TEST(BlockedGemm, ARowDoesNotDependOnTheOthers) {
  const model_spec::Gemm<I> op{.tokens = 9, .in = 2100, .out = 53, .weight = bf16, .activation = bf16, .output = fp32};
  const Array a = random_array(bf16, 9, 2100), w = random_array(bf16, 53, 2100, 2);
  Array together(fp32, 9, 53);
  blocked::gemm(op, a, w, together);
  for (I t = 0; t < 9; ++t) {
    Array alone(fp32, 1, 53);
    model_spec::Gemm<I> one = op;
    one.tokens = 1;
    blocked::gemm(one, a.rows(t, 1), w, alone);
    expect_same(alone, together.rows(t, 1));
  }
}

TEST(BlockedGemm, ThreadsDoNotChangeAnything) {
  const Array a = random_array(fp8_row, 37, 300), w = random_array(fp8_block, 200, 300, 2);
  expect_same_for_any_threads([&] {
    Array c(fp32, 37, 200);
    blocked::gemm({.tokens = 37, .in = 300, .out = 200}, a, w, c);
    return c;
  });
}

TEST(BlockedGroupedGemm, AgreesForEveryStorage) {
  const I experts[] = {3, 0, 17, 1};
  const Array counts(int32, 1, 4, {3, 0, 17, 1});
  for (const DType weight : weight_types) {
    const DType activation = model_spec::activation_for(weight);
    const Array a = random_array(activation, 21, 130);
    std::vector<Array> w;
    for (unsigned e = 0; e < 4; ++e) w.push_back(random_array(weight, 129, 130, e + 2));
    const model_spec::GroupedGemm<I> op{.capacity = 21,
                                        .experts = 4,
                                        .in = 130,
                                        .out = 129,
                                        .rows = 21,
                                        .active = 3,
                                        .largest = 17,
                                        .weight = weight,
                                        .activation = activation,
                                        .output = fp32};
    Array naive(fp32, 21, 129), fast(fp32, 21, 129);
    grouped_gemm<float>(op, a, counts, w, naive);
    blocked::grouped_gemm(op, a, experts, views(w), fast);
    expect_near(fast, naive, rounding(130, largest_of(weight) * largest_of(activation)));
  }
}

TEST(BlockedBatchedGemm, AgreesForEveryStorage) {
  for (const DType weight : weight_types)
    for (const auto& [tokens, in, out] : {std::tuple<I, I, I>{1, 130, 129}, {3, 17, 576}, {259, 3, 1}}) {
      const Array a = random_array(bf16, tokens * 3, in);
      std::vector<Array> w;
      for (unsigned h = 0; h < 3; ++h) w.push_back(random_array(weight, in, out, h + 2));
      const model_spec::BatchedGemm<I> op{.tokens = tokens, .heads = 3, .in = in, .out = out, .weight = weight};
      Array naive(fp32, tokens * 3, out), fast(fp32, tokens * 3, out);
      batched_gemm<float>(op, a, w, naive);
      blocked::batched_gemm(op, a, views(w), fast);
      expect_near(fast, naive, rounding(in, largest_of(weight)));
      expect_same_for_any_threads([&] {
        Array c(fp32, tokens * 3, out);
        blocked::batched_gemm(op, a, views(w), c);
        return c;
      });
    }
}

// The query's scale is in the weights of the naive kernel and in the query of the blocked one.
TEST(BlockedIndexLogits, Agrees) {
  for (const auto& [sequences, new_tokens, cached] : {std::tuple<I, I, I>{1, 1, 0}, {2, 3, 300}, {2, 129, 17}, {3, 1, 576}}) {
    const model_spec::IndexLogits<I> op{.sequences = sequences, .new_tokens = new_tokens, .cached_tokens = cached, .heads = 5, .dims = 128};
    const I tokens = sequences * new_tokens, context = new_tokens + cached;
    const Array q = random_array(fp8_row, tokens * 5, 128), keys = random_array(fp8_row, sequences * context, 128, 2), w = random_array(fp32, tokens, 5, 3);
    Array scaled(fp32, tokens, 5), naive(fp32, tokens, context), fast(fp32, tokens, context);
    for (I r = 0; r < tokens * 5; ++r) scaled.set(r / 5, r % 5, w.get(r / 5, r % 5) * q.scale(r, 0));
    index_logits<float>(op, q, scaled, keys, naive);
    blocked::index_logits(op, q, w, reader(keys), fast);  // the future stays zero in both
    expect_near(fast, naive, 5 * rounding(128));
    expect_same_for_any_threads([&] {
      Array logits(fp32, tokens, context);
      blocked::index_logits(op, q, w, reader(keys), logits);
      return logits;
    });
  }
}

}  // namespace
}  // namespace fathom::kernels::cpu
