// Attention in its forms, which must agree, and what feeds it: caches, indexer scores.
#include "kernels/cpu/attention.h"

#include <gmock/gmock.h>

#include "kernels/cpu/batched_gemm.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/index_logits.h"
#include "kernels/cpu/top_k.h"
#include "tests/kernels/arrays.h"

namespace fathom::kernels::cpu {
namespace {

using model_spec::CacheFormat;
using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;
using I = std::int64_t;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row;

void expect_near(const Matrix& a, const Matrix& b, float tolerance) {
  ASSERT_EQ(a.rows(), b.rows());
  for (I r = 0; r < a.rows(); ++r) EXPECT_THAT(row_of(a, r), Pointwise(FloatNear(tolerance), row_of(b, r))) << "row " << r;
}

// A mask of the keys among indices[tokens, topk].
struct IndexMask {
  const Matrix& indices;
  [[nodiscard]] bool bit(I t, I position) const {
    for (I i = 0; i < indices.columns(); ++i)
      if (indices.integer(t, i) == position) return true;
    return false;
  }
};

// One head, two keys with scores ln 3 and 0: weights 3/4 and 1/4. The first token sees itself only.
TEST(DenseMha, WeighsValuesByCausalSoftmax) {
  const Array q(fp32, 2, 2, {1, 1, 1, 1}), kv(fp32, 2, 2, {0.5, 8, 0, 4}), k_pe(fp32, 2, 1, {0.5, 0});
  Array o(fp32, 2, 1);
  const model_spec::DenseMha<I> op{.sequences = 1, .new_tokens = 2, .heads = 1, .nope = 1, .rope = 1, .v = 1};
  dense_mha<float>(op, std::log(3.0f), q, kv, k_pe, EveryKey{}, o);
  EXPECT_FLOAT_EQ(o.get(0, 0), 8);
  EXPECT_FLOAT_EQ(o.get(1, 0), 7);
}

TEST(DenseMha, LargeScoresDoNotOverflow) {
  const Array q(fp32, 2, 1, {1000, 1000}), kv(fp32, 2, 2, {1, 8, 1, 4}), none(fp32, 2, 0);
  Array o(fp32, 2, 1);
  dense_mha<float>({.sequences = 1, .new_tokens = 2, .heads = 1, .nope = 1, .v = 1}, 1, q, kv, none, EveryKey{}, o);
  EXPECT_FLOAT_EQ(o.get(1, 0), 6);
}

// A random problem of two sequences in both forms: kv = W (c_kv), with W_UK and W_UV in one matrix as kv_b holds them.
class BothForms : public testing::Test {
 protected:
  static constexpr I sequences = 2, new_tokens = 3, cached = 4, heads = 3, nope = 5, rope = 2, v = 6, latent_width = 8, context = cached + new_tokens,
                     tokens = sequences * new_tokens, keys = sequences * context;
  static constexpr float scale = 0.4f;

  void SetUp() override {
    kv = Array(fp32, keys * heads, nope + v);
    for (I key = 0; key < keys; ++key)
      for (I row = 0; row < heads * (nope + v); ++row)
        kv.set(key * heads + row / (nope + v), row % (nope + v), scaled_dot<float>(fp32, fp32, latent_width, latent, key, kv_b, row));
    absorb_query();
  }
  // q~[t, h] = W_UK[h]^T q_nope[t, h], then the RoPE part as it is.
  void absorb_query() {
    Array absorbed(fp32, tokens * heads, latent_width);
    std::vector<Array> up;
    for (I h = 0; h < heads; ++h) {
      up.emplace_back(fp32, nope, latent_width);
      for (I r = 0; r < nope; ++r) copy_row(fp32, latent_width, kv_b, h * (nope + v) + r, up.back(), r);
    }
    batched_gemm<float>({.tokens = tokens, .heads = heads, .in = nope, .out = latent_width, .weight = fp32}, q.slice(0, nope), up, absorbed);
    for (I r = 0; r < tokens * heads; ++r)
      for (I c = 0; c < latent_width + rope; ++c) q_absorbed.set(r, c, c < latent_width ? absorbed.get(r, c) : q.get(r, nope + c - latent_width));
  }
  // o[t, h] = W_UV[h] o~[t, h]
  [[nodiscard]] Array expand(const Matrix& o) const {
    Array result(fp32, tokens * heads, v);
    for (I r = 0; r < tokens * heads; ++r)
      for (I c = 0; c < v; ++c) result.set(r, c, scaled_dot<float>(fp32, fp32, latent_width, o, r, kv_b, r % heads * (nope + v) + nope + c));
    return result;
  }
  [[nodiscard]] Array mha(const Matrix* indices) const {
    Array o(fp32, tokens * heads, v);
    model_spec::DenseMha<I> op{.sequences = sequences, .new_tokens = new_tokens, .cached_tokens = cached, .heads = heads, .nope = nope, .rope = rope, .v = v};
    op.masked = indices != nullptr;
    if (indices) dense_mha<float>(op, scale, q, kv, k_pe, IndexMask{*indices}, o);
    else dense_mha<float>(op, scale, q, kv, k_pe, EveryKey{}, o);
    return o;
  }
  [[nodiscard]] Array mqa() const {
    Array o(fp32, tokens * heads, latent_width);
    dense_mqa<float>({.sequences = sequences, .new_tokens = new_tokens, .cached_tokens = cached, .heads = heads, .latent = latent_width, .rope = rope}, scale,
                     q_absorbed, latent, k_pe, o);
    return o;
  }
  [[nodiscard]] Array sparse(const Matrix& indices) const {
    Array o(fp32, tokens * heads, latent_width);
    sparse_mla<float>({.sequences = sequences,
                       .new_tokens = new_tokens,
                       .cached_tokens = cached,
                       .heads = heads,
                       .latent = latent_width,
                       .rope = rope,
                       .topk = indices.columns(),
                       .cache = CacheFormat::bf16},
                      scale, q_absorbed, latent, k_pe, indices, o);
    return o;
  }
  [[nodiscard]] static Array best_keys(I topk) {
    const Array scores = random_array(fp32, tokens, context, 7);
    Array indices(DType::int32, tokens, topk);
    top_k<float>({.sequences = sequences, .new_tokens = new_tokens, .cached_tokens = cached, .topk = topk}, scores, indices);
    return indices;
  }

  const Array q = random_array(fp32, tokens*heads, nope + rope, 1), latent = random_array(fp32, keys, latent_width, 2),
              k_pe = random_array(fp32, keys, rope, 3), kv_b = random_array(fp32, heads*(nope + v), latent_width, 4);
  Array kv, q_absorbed{fp32, tokens*heads, latent_width + rope};
};

TEST_F(BothForms, AbsorbedAgreesWithExpanded) { expect_near(expand(mqa()), mha(nullptr), 2e-6f); }

TEST_F(BothForms, SparseOverAllKeysIsDense) {
  for (const I topk : {context, context + 3}) expect_near(sparse(best_keys(topk)), mqa(), 1e-7f);
}

TEST_F(BothForms, MaskedExpandedAgreesWithSparse) {
  const Array indices = best_keys(3);
  const Array chosen = expand(sparse(indices));
  expect_near(chosen, mha(&indices), 2e-6f);
  EXPECT_GT(std::abs(chosen.get(0, 0) - mha(nullptr).get(0, 0)), 1e-4f);  // the mask matters
}

TEST_F(BothForms, AQueryWithoutKeysGivesZero) {
  Array none(DType::int32, tokens, 2);
  for (I t = 0; t < tokens; ++t)
    for (I i = 0; i < 2; ++i) none.set_integer(t, i, -1);
  expect_near(sparse(none), Array(fp32, tokens * heads, latent_width), 0);
}

TEST(Fp8Cache, AttendsToItsDequantisedKeys) {
  const Array q = random_array(fp32, 4, 132), c_kv = random_array(bf16, 5, 130, 2), k_pe = random_array(bf16, 5, 2, 3);
  const Array slots(DType::int32, 1, 5, {0, 1, 2, 3, 4});
  Array latent(fp8_row, 5, 130), rope(bf16, 5, 2), read(bf16, 5, 132), from_cache(fp32, 4, 130), from_copy(fp32, 4, 130);
  latent_cache_write<float>({.tokens = 5, .latent = 130, .rope = 2}, Scales::ue8m0, c_kv, k_pe, slots, latent, rope);
  latent_cache_read<float>({.tokens = 5, .latent = 130, .rope = 2}, latent, rope, slots, read);
  model_spec::DenseMqa<I> op{.sequences = 1, .new_tokens = 2, .cached_tokens = 3, .heads = 2, .latent = 130, .rope = 2, .cache = CacheFormat::fp8};
  dense_mqa<float>(op, 1, q, latent, rope, from_cache);
  op.cache = CacheFormat::bf16;
  dense_mqa<float>(op, 1, q, read.slice(0, 130), read.slice(130, 2), from_copy);
  expect_near(from_cache, from_copy, 1e-6f);  // e4m3 times a power of two is a bf16
}

TEST(Caches, RecordsGoToTheirSlots) {
  const Array c_kv(bf16, 2, 2, {448, 1, 14, 7}), k_pe(bf16, 2, 1, {0.1, 5}), slots(DType::int32, 1, 2, {2, 0});
  Array latent(fp8_row, 3, 2), rope(bf16, 3, 1), back(bf16, 2, 3);
  latent_cache_write<float>({.tokens = 2, .latent = 2, .rope = 1}, Scales::ue8m0, c_kv, k_pe, slots, latent, rope);
  EXPECT_EQ(latent.scale(2, 0), 1);
  EXPECT_EQ(latent.scale(0, 0), 0x1p-5f);
  EXPECT_THAT(row_of(latent, 0), ElementsAre(448, 224));
  EXPECT_THAT(row_of(latent, 1), ElementsAre(0, 0));
  latent_cache_read<float>({.tokens = 2, .latent = 2, .rope = 1}, latent, rope, slots, back);
  EXPECT_THAT(row_of(back, 0), ElementsAre(448, 1, round_bf16(0.1f)));
  EXPECT_THAT(row_of(back, 1), ElementsAre(14, 7, 5));
}

TEST(Caches, IndexKeysAreCopiedWithTheirScale) {
  Array k(fp8_row, 1, 2, {3, -5}), cache(fp8_row, 2, 2);
  k.set_scale(0, 0, 0.25f);
  index_cache_write<float>({.tokens = 1, .dims = 2}, k, Array(DType::int32, 1, 1, {1}), cache);
  EXPECT_THAT(row_of(cache, 1), ElementsAre(3, -5));
  EXPECT_EQ(cache.scale(1, 0), 0.25f);
  EXPECT_EQ(cache.scale(0, 0), 1);
}

// Two heads: dots with key 0 are 3 and -1 (cut off), with key 1 they are 1 and 2; weights 2 and -0.5.
TEST(IndexLogits, CutsEachHeadOffAtZeroBeforeTheWeightedSum) {
  const Array q(fp8_row, 4, 2, {9, 9, 9, 9, 1, 1, -1, 1}), w(fp32, 2, 2, {0, 0, 2, -0.5});
  Array keys(fp8_row, 2, 2, {2, 1, -0.5, 1.5}), logits(fp32, 2, 2, {0, 77, 0, 0});
  keys.set_scale(1, 0, 10);
  index_logits<float>({.sequences = 1, .new_tokens = 2, .heads = 2, .dims = 2}, q, w, keys, logits);
  EXPECT_THAT(row_of(logits, 1), ElementsAre(6, 10));
  EXPECT_EQ(logits.get(0, 1), 77);  // a key of the future is not scored
}

}  // namespace
}  // namespace fathom::kernels::cpu
