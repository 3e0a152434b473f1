// The blocked forms of attention against the naive ones. A score of width k errs by about k * 2^-24 (blocked_test.cpp), so the weights err by as
// much of themselves; their sum over the keys and that with the values, which are below one, add a rounding a key.
#include <atomic>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/blocked.h"
#include "kernels/cpu/rows.h"
#include "tests/kernels/compare.h"

namespace fathom::kernels::cpu {
namespace {

using model_spec::CacheFormat;
using I = std::int64_t;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row, int32 = DType::int32;
constexpr float scale = 0.3f;

float rounding(I width, I keys) { return 0x1p-24f * static_cast<float>(width + keys + 16); }

// Each token's every third position, from one that differs by token, up to itself; then -1.
Array some_positions(I sequences, I new_tokens, I cached, I topk) {
  Array indices(int32, sequences * new_tokens, topk);
  for (I t = 0; t < indices.rows(); ++t) {
    const I self = cached + t % new_tokens;
    for (I i = 0; i < topk; ++i) {
      const I position = std::min<I>(t % 3, self) + 3 * i;
      indices.set_integer(t, i, position <= self ? position : -1);
    }
  }
  return indices;
}
struct IndexMask {
  const Matrix& indices;
  [[nodiscard]] bool bit(I t, I position) const {
    for (I i = 0; i < indices.columns(); ++i)
      if (indices.integer(t, i) == position) return true;
    return false;
  }
};

struct Size {
  I sequences, new_tokens, cached, heads;
};
const Size sizes[] = {{1, 1, 0, 1}, {2, 3, 0, 3}, {1, 17, 130, 2}, {2, 130, 17, 3}, {3, 1, 576, 5}, {1, 300, 3, 1}};

class BlockedMha : public testing::TestWithParam<Size> {
 protected:
  static constexpr I nope = 17, rope = 6, v = 19;
  [[nodiscard]] model_spec::DenseMha<I> record(bool masked) const {
    const auto& [sequences, new_tokens, cached, heads] = GetParam();
    return {.sequences = sequences, .new_tokens = new_tokens, .cached_tokens = cached, .heads = heads, .nope = nope, .rope = rope, .v = v, .masked = masked};
  }
  const I context = GetParam().new_tokens + GetParam().cached, keys = GetParam().sequences * context;
  const I rows = GetParam().sequences * GetParam().new_tokens * GetParam().heads;
  const Array q = random_array(bf16, rows, nope + rope, 1), kv = random_array(bf16, keys*GetParam().heads, nope + v, 2),
              k_pe = random_array(fp32, keys, rope, 3);
};

TEST_P(BlockedMha, Agrees) {
  Array naive(fp32, rows, v), fast(fp32, rows, v);
  dense_mha<float>(record(false), scale, q, kv, k_pe, EveryKey{}, naive);
  blocked::dense_mha(record(false), scale, q, kv, k_pe, nullptr, fast);
  expect_near(fast, naive, rounding(nope + rope, context));
}

TEST_P(BlockedMha, AgreesOnChosenKeys) {
  const auto& [sequences, new_tokens, cached, heads] = GetParam();
  for (const I topk : {I{1}, I{50}, context}) {
    const Array chosen = some_positions(sequences, new_tokens, cached, topk);
    const ConstMatrix view = chosen;
    Array naive(fp32, rows, v), fast(fp32, rows, v);
    dense_mha<float>(record(true), scale, q, kv, k_pe, IndexMask{chosen}, naive);
    blocked::dense_mha(record(true), scale, q, kv, k_pe, &view, fast);
    expect_near(fast, naive, rounding(nope + rope, context));
    expect_same_for_any_threads([&] {
      Array o(fp32, rows, v);
      blocked::dense_mha(record(true), scale, q, kv, k_pe, &view, o);
      return o;
    });
  }
}

class BlockedMqa : public testing::TestWithParam<Size> {
 protected:
  static constexpr I latent_width = 130, rope_width = 6;
  [[nodiscard]] static model_spec::DenseMqa<I> record(CacheFormat cache) {
    const auto& [sequences, new_tokens, cached, heads] = GetParam();
    return {
        .sequences = sequences, .new_tokens = new_tokens, .cached_tokens = cached, .heads = heads, .latent = latent_width, .rope = rope_width, .cache = cache};
  }
  [[nodiscard]] static model_spec::SparseMla<I> record(CacheFormat cache, I topk) {
    const auto& [sequences, new_tokens, cached, heads] = GetParam();
    return {.sequences = sequences,
            .new_tokens = new_tokens,
            .cached_tokens = cached,
            .heads = heads,
            .latent = latent_width,
            .rope = rope_width,
            .topk = topk,
            .cache = cache};
  }
  [[nodiscard]] Array latents(CacheFormat cache) const { return random_array(cache == CacheFormat::fp8 ? fp8_row : bf16, keys, latent_width, 2); }
  [[nodiscard]] blocked::LoadRow reader(const Array& latent) const {
    return [&](I row, float* out) {
      expand_row(latent, row, 0, latent_width, out);
      expand_row(k_pe, row, 0, rope_width, out + latent_width);
    };
  }
  const I context = GetParam().new_tokens + GetParam().cached, keys = GetParam().sequences * context;
  const I rows = GetParam().sequences * GetParam().new_tokens * GetParam().heads;
  const Array q = random_array(bf16, rows, latent_width + rope_width, 1), k_pe = random_array(bf16, keys, rope_width, 3);
};

TEST_P(BlockedMqa, DenseAgrees) {
  for (const CacheFormat cache : {CacheFormat::bf16, CacheFormat::fp8}) {
    const Array latent = latents(cache);
    Array naive(fp32, rows, latent_width), fast(fp32, rows, latent_width);
    dense_mqa<float>(record(cache), scale, q, latent, k_pe, naive);
    blocked::dense_mqa(record(cache), scale, q, reader(latent), fast);
    expect_near(fast, naive, rounding(latent_width + rope_width, context));
    expect_same_for_any_threads([&] {
      Array o(fp32, rows, latent_width);
      blocked::dense_mqa(record(cache), scale, q, reader(latent), o);
      return o;
    });
  }
}

// With few keys a query, each loads its own; with many they share the context.
TEST_P(BlockedMqa, SparseAgrees) {
  const auto& [sequences, new_tokens, cached, heads] = GetParam();
  const Array latent = latents(CacheFormat::fp8);
  for (const I topk : {I{1}, I{50}, context}) {
    const Array indices = some_positions(sequences, new_tokens, cached, topk);
    const auto op = record(CacheFormat::fp8, topk);
    Array naive(fp32, rows, latent_width), fast(fp32, rows, latent_width);
    sparse_mla<float>(op, scale, q, latent, k_pe, indices, naive);
    blocked::sparse_mla(op, scale, q, reader(latent), indices, fast);
    expect_near(fast, naive, rounding(latent_width + rope_width, topk));
    expect_same_for_any_threads([&] {
      Array o(fp32, rows, latent_width);
      blocked::sparse_mla(op, scale, q, reader(latent), indices, o);
      return o;
    });
  }
}

const auto size_name = [](const auto& info) {
  const Size& s = info.param;
  return std::to_string(s.sequences) + "_" + std::to_string(s.new_tokens) + "_" + std::to_string(s.cached) + "_" + std::to_string(s.heads);
};
INSTANTIATE_TEST_SUITE_P(Sizes, BlockedMha, testing::ValuesIn(sizes), size_name);
INSTANTIATE_TEST_SUITE_P(Sizes, BlockedMqa, testing::ValuesIn(sizes), size_name);

// All keys but the first and the last are negligible; the last one's score is ln 3, or a thousand times that, more than the first one's.
TEST(BlockedSoftmax, LargerScoresOfLaterBlocksTakeOver) {
  for (const float size : {1.0f, 1000.0f}) {
    const float last = size * std::log(3.0f);
    const Array q(fp32, 1, 1, {1});
    const auto keys = [&](I row, float* out) { *out = row == 0 ? 0.0f : row == 399 ? last : -2000.0f; };
    Array o(fp32, 1, 1);
    blocked::dense_mqa({.sequences = 1, .new_tokens = 1, .cached_tokens = 399, .heads = 1, .latent = 1}, 1, q, keys, o);
    EXPECT_FLOAT_EQ(o.get(0, 0), size == 1 ? 0.75f * last : last);
  }
}

// A prefill in two chunks gives the rows of the whole one, to the bit.
TEST(BlockedChunks, GiveTheRowsOfTheWhole) {
  constexpr I tokens = 150, head = 100, heads = 2, nope = 9, rope = 4, v = 7;
  const Array q = random_array(bf16, tokens * heads, nope + rope), kv = random_array(bf16, tokens * heads, nope + v, 2),
              k_pe = random_array(bf16, tokens, rope, 3);
  Array whole(fp32, tokens * heads, v), tail(fp32, (tokens - head) * heads, v);
  blocked::dense_mha({.sequences = 1, .new_tokens = tokens, .heads = heads, .nope = nope, .rope = rope, .v = v}, scale, q, kv, k_pe, nullptr, whole);
  blocked::dense_mha({.sequences = 1, .new_tokens = tokens - head, .cached_tokens = head, .heads = heads, .nope = nope, .rope = rope, .v = v}, scale,
                     q.rows(head * heads, (tokens - head) * heads), kv, k_pe, nullptr, tail);
  expect_same(tail, whole.rows(head * heads, (tokens - head) * heads));
}

class SparseLoads : public testing::Test {
 protected:
  // Rows loaded for `new_tokens` queries of two heads with 5 keys each.
  static I loads(I new_tokens, I cached) {
    const Array q = random_array(fp32, new_tokens * 2, 3), indices = some_positions(1, new_tokens, cached, 5);
    Array o(fp32, new_tokens * 2, 2);
    std::atomic<I> count = 0;
    const auto keys = [&](I, float* out) {
      std::fill_n(out, 3, 1.0f);
      ++count;
    };
    blocked::sparse_mla({.sequences = 1, .new_tokens = new_tokens, .cached_tokens = cached, .heads = 2, .latent = 2, .rope = 1, .topk = 5}, scale, q, keys,
                        indices, o);
    return count;
  }
};
TEST_F(SparseLoads, OfFewQueriesAreTheirKeys) { EXPECT_EQ(loads(2, 1000), 10); }
TEST_F(SparseLoads, OfManyQueriesAreTheContextOnce) { EXPECT_EQ(loads(100, 50), 150); }

TEST(BlockedSparseMla, AQueryWithoutKeysGivesZero) {
  const Array q = random_array(fp32, 4, 3), indices(int32, 2, 2, {-1, -1, -1, 1});
  Array o(bf16, 4, 2);
  for (I r = 0; r < 4; ++r) o.set(r, 0, 9);
  const auto keys = [](I row, float* out) { std::fill_n(out, 3, static_cast<float>(row)); };
  blocked::sparse_mla({.sequences = 1, .new_tokens = 2, .heads = 2, .latent = 2, .rope = 1, .topk = 2}, scale, q, keys, indices, o);
  for (const I r : {0, 1}) EXPECT_THAT(row_of(o, r), testing::ElementsAre(0, 0));
  for (const I r : {2, 3}) EXPECT_THAT(row_of(o, r), testing::ElementsAre(1, 1));
}

}  // namespace
}  // namespace fathom::kernels::cpu
