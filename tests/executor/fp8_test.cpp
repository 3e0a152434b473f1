// The deployed arithmetic, operator by operator, and what it leaves in the caches.
#include <gmock/gmock.h>

#include "kernels/cpu/blocked.h"
#include "kernels/cpu/hadamard.h"
#include "tests/executor/operators.h"
#include "tests/kernels/arrays.h"

namespace fathom::executor {
namespace {

// V3.2's cache records (512 + 64) on the smallest model that is otherwise deployed as it is.
ModelSpec model_with_real_records() {
  auto m = find_model("tests/fixtures/v32-yarn-fp8-mtp");
  m.kv_lora_rank = 512;
  m.indexer->index_n_heads = 8;
  return m;
}

RunOptions options(std::int64_t tokens) {
  RunOptions o{.model = model_with_real_records(),
               .layout = {},
               .policy = {},
               .numerics = Numerics::fp8,
               .weights = std::make_shared<SyntheticWeights>(3),
               .requests = {},
               .sampling = {},
               .pages = {},
               .force = {},
               .progress = {}};
  o.policy.chunked_prefill_tokens = 32;  // index_topk: the second chunk chooses keys
  o.requests = requests_of(o.model, {{tokens, 2}});
  return o;
}

// Runs it, looking at every operator, then what(operators, plan).
template <class What>
void look_at(const RunOptions& o, const What& what) {
  ASSERT_EQ(check(o), std::nullopt);
  const auto p = plan(o.model, o.layout, o.policy, true);
  std::unique_ptr<Operators> operators;
  watch(o, p, [&](int, const CpuBackend&, const RankWeights& weights) {
    operators = std::make_unique<Operators>(p, weights);
    GenerateOptions g;
    g.observe = [&](const StepInput& input, std::span<const RowOrigin>, const Block& block, const BoundStep& step, Backend& b) {
      if (!testing::Test::HasFatalFailure()) operators->look(input, block, step, b);
    };
    return g;
  });
  what(*operators);  // its weights are gone
}

constexpr std::array common{"gemm", "grouped_gemm", "batched_gemm", "rms_norm", "swiglu", "hadamard", "quantise", "latent_cache_write", "index_cache_write"};

void expect_seen(const Operators& o, std::initializer_list<const char*> others) {
  for (const char* name : common) EXPECT_GT(o.seen.contains(name), 0) << name;
  for (const char* name : others) EXPECT_GT(o.seen.contains(name), 0) << name;
}

TEST(Fp8Operators, WithMaskedMha) {
  auto o = options(49);
  o.policy.prefill_attention = PrefillAttention::mha;
  look_at(o, [](Operators& ops) { expect_seen(ops, {"dense_mha", "latent_cache_read", "index_logits", "sparse_mla"}); });
}

TEST(Fp8Operators, WithSparseMqaAndEveryOperatorApart) {
  auto o = options(49);
  o.policy.prefill_attention = PrefillAttention::mqa;
  o.policy.fused = false;
  look_at(o, [](Operators& ops) { expect_seen(ops, {"sparse_mla", "latent_cache_read", "index_logits"}); });
}

TEST(Fp8Operators, WithDenseMqa) {
  auto o = options(20);
  o.policy.dense_decode_max_context = -1;
  look_at(o, [](Operators& ops) { expect_seen(ops, {"dense_mha", "dense_mqa"}); });
}

// ---- caches, with what a run wrote to them

using kernels::cpu::Array;
constexpr auto ue8m0 = kernels::cpu::Scales::ue8m0;

Array array_of(const std::vector<std::vector<double>>& rows) {
  Array a(DType::bf16, std::ssize(rows), std::ssize(rows[0]));
  for (I r = 0; r < a.rows(); ++r)
    for (I c = 0; c < a.columns(); ++c) a.set(r, c, static_cast<float>(rows[static_cast<std::size_t>(r)][static_cast<std::size_t>(c)]));
  return a;
}
// Slots 0, 1, ...
struct InOrder {
  static I integer(I, I i) { return i; }
};
template <class T>
T number_at(std::span<const std::byte> bytes, I at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

// 512 codes, four scales, 64 numbers of bf16 (model-facts 4.4); read back, they are the keys that the run attended to.
TEST(Fp8Caches, LatentRecordsHoldTheQuantisedKv) {
  look_at(options(49), [](Operators& ops) {
    for (auto& [layer, rows] : ops.kv) {
      const auto kv = array_of(rows);
      LatentCache cache(Numerics::fp8, 512, 64, 1);
      ASSERT_EQ(cache.record_bytes(), 656);
      auto latent = cache.latent(), rope = cache.rope();
      const LatentCacheWrite<I> op{.tokens = kv.rows(), .latent = 512, .rope = 64};
      kernels::cpu::latent_cache_write<float>(op, ue8m0, kv.slice(0, 512), kv.slice(512, 64), InOrder(), latent, rope);
      for (I t = 0; t < kv.rows(); ++t) {
        const auto& expected = ops.latent_keys[layer][static_cast<std::size_t>(t)];
        const auto record = cache.bytes().subspan(static_cast<std::size_t>(t * 656), 656);
        for (I c = 0; c < 512; ++c)
          ASSERT_EQ(kernels::cpu::decode_e4m3(number_at<std::uint8_t>(record, c)) * number_at<float>(record, 512 + c / 128 * 4),
                    expected[static_cast<std::size_t>(c)]);
        for (I c = 0; c < 64; ++c)
          ASSERT_EQ(kernels::cpu::decode_bf16(number_at<std::uint16_t>(record, 528 + 2 * c)), expected[static_cast<std::size_t>(512 + c)]);
        for (I group = 0; group < 4; ++group) {
          const Grid row(kv.slice(group * 128, 128).rows(t, 1));
          ASSERT_EQ(number_at<float>(record, 512 + 4 * group), scale_for(row.largest()));
        }
      }
    }
    EXPECT_EQ(ops.kv.size(), 3);
  });
}

// A page: codes of 64 keys, then their scales (model-facts 4.5); read back, they are the keys that the run scored.
TEST(Fp8Caches, IndexPagesHoldTheRotatedKeys) {
  look_at(options(49), [](Operators& ops) {
    for (auto& [layer, rows] : ops.index_k) {
      const auto k = array_of(rows);
      Array k8(DType::fp8_row, k.rows(), 128);
      kernels::cpu::hadamard<float>({.tokens = k.rows(), .heads = 1, .width = 128, .stages = 7, .output = DType::fp8_row}, ue8m0, k, k8);
      IndexCache cache(Numerics::fp8, 128, 1);
      ASSERT_EQ(cache.page_bytes(), 8448);
      kernels::cpu::index_cache_write<float>({.tokens = k.rows(), .dims = 128}, k8, InOrder(), cache);
      for (I t = 0; t < k.rows(); ++t)
        for (I c = 0; c < 128; ++c) {
          const auto key = kernels::cpu::decode_e4m3(number_at<std::uint8_t>(cache.bytes(), 128 * t + c)) * number_at<float>(cache.bytes(), 8192 + 4 * t);
          ASSERT_EQ(key, ops.index_keys[layer][static_cast<std::size_t>(t)][static_cast<std::size_t>(c)]);
        }
    }
    EXPECT_EQ(ops.index_k.size(), 3);
  });
}

// V3.2's widest sum, before any rounding of the output.
TEST(Fp8Kernels, GemmOfTheHiddenSize) {
  const auto a = kernels::cpu::random_array(DType::fp8_row, 5, 7168), w = kernels::cpu::random_array(DType::fp8_block, 130, 7168, 2);
  Array c(DType::fp32, 5, 130);
  kernels::cpu::blocked::gemm({.tokens = 5, .in = 7168, .out = 130, .output = DType::fp32}, a, w, c);
  expect_stored(DType::fp32, Grid(c), product(Grid(a), Grid(w)), tolerance);
}

}  // namespace
}  // namespace fathom::executor
