#include "model_spec/memory.h"

#include <gtest/gtest.h>

namespace fathom::model_spec {
namespace {

Layout expert_parallel(std::int64_t ep, std::int64_t redundant = 0) { return {.dp = ep, .ep = ep, .redundant_experts = redundant}; }

// Weights of the main model on one rank, in GB.
double weights_GB(const std::string& model, const Layout& layout, Policy policy = {}) {
  const auto p = plan(find_model(model), layout, policy);
  BoundPlan bound;
  bind(p, 0, decode(1, 1000), bound);
  return memory(p, 0, bound, 0).weight_sum().value / 1e9;
}

TEST(Memory, WeightsPerGpuOfExpertParallelV32) {
  const std::pair<std::int64_t, double> rows[] = {{8, 101.7}, {16, 60.8}, {32, 40.4}, {64, 30.2}, {128, 25.1}, {256, 22.5}};
  for (const auto& [ep, gb] : rows) EXPECT_NEAR(weights_GB("deepseek-v3.2", expert_parallel(ep)), gb, 0.05) << "EP" << ep;
  EXPECT_NEAR(weights_GB("deepseek-v3.2", expert_parallel(32, 32)), 42.96, 0.005);
  EXPECT_NEAR(weights_GB("deepseek-v3.2", expert_parallel(144, 32)), 25.07, 0.005);
}

TEST(Memory, OneRankHoldsTheWholeModel) { EXPECT_DOUBLE_EQ(weights_GB("deepseek-v3.2", {}), 674.030368448); }

TEST(Memory, PipelineStagesAddUpToTheWholeModel) {
  const auto p = plan(find_model("deepseek-v3.2"), {.pp = 4}, {});
  double sum = 0;
  for (const auto& stage : p.stages)
    for (const auto bytes : stage.weight_bytes) sum += bytes;
  EXPECT_DOUBLE_EQ(sum, 674'030'368'448.0);
}

TEST(Memory, TensorParallelRanksHoldSlicesAndCopies) {
  // Replicated: norms, q_a, kv_a, indexer, router. Split by 8: the rest.
  const auto spec = find_model("deepseek-v3.2");
  double expected = 0;
  for (const auto& t : tensor_table(spec)) {
    double layers = t.layers.empty() ? 1 : 0;
    for (const auto& range : t.layers)
      if (range.first < 61) layers += static_cast<double>(std::min<std::int64_t>(range.first + range.count, 61) - range.first);
    const auto whole = static_cast<double>(totals_of(t).bytes * t.experts) * layers;
    expected += t.shard == Shard::replicated ? whole : whole / 8;
  }
  EXPECT_NEAR(weights_GB("deepseek-v3.2", {.tp = 8, .ep = 8}) * 1e9, expected, 1);
}

TEST(Memory, CacheBytesPerToken) {
  const auto sum = [](const Plan& p) { return (latent_cache_per_token(p, 0) + index_cache_per_token(p, 0)).value; };
  EXPECT_EQ(sum(plan(find_model("deepseek-v3.2"), {}, {})), 48'068);
  EXPECT_EQ(sum(plan(find_model("deepseek-v3.2"), {}, {.mtp_depth = 1})), 48'856);
  EXPECT_EQ(sum(plan(find_model("deepseek-v3"), {}, {.cache = CacheFormat::bf16})), 70'272);
}

TEST(Memory, CachesGrowWithResidentTokensInPages) {
  EXPECT_EQ(paged(1), 64);
  EXPECT_EQ(paged(64), 64);
  EXPECT_EQ(paged(131'073), 131'136);
  const auto p = plan(find_model("deepseek-v3.2"), expert_parallel(32), {});
  BoundPlan bound;
  bind(p, 0, decode(128, 4096), bound);
  const auto m = memory(p, 0, bound, 128.0 * 4096);
  EXPECT_EQ(m.latent_cache.value, 128.0 * 4096 * 656 * 61);
  EXPECT_EQ(m.index_cache.value, 128.0 * 4096 * 132 * 61);
}

TEST(Memory, ScoresAreChunkedToTheirBudget) {
  const auto p = plan(find_model("deepseek-v3.2"), expert_parallel(32), {.index_logits_GB = 2});
  BoundPlan bound;
  bind(p, 0, decode(128, 4095), bound);
  EXPECT_EQ(memory(p, 0, bound, 0).logits_workspace.value, 4.0 * 128 * 4096);
  bind(p, 0, prefill(1, 131'072), bound);  // 68.7 GB unchunked
  EXPECT_EQ(memory(p, 0, bound, 0).logits_workspace.value, 2e9);
}

TEST(Memory, LowLatencyBuffersHoldASlotForEveryExpertAndToken) {
  const auto p = plan(find_model("deepseek-v3.2"), expert_parallel(144, 32), {});
  BoundPlan bound;
  bind(p, 0, decode(128, 5000), bound);
  EXPECT_EQ(memory(p, 0, bound, 0).communication_buffers.value, 4.0 * 288 * 256 * 14'560);
  bind(p, 0, prefill(4, 4096), bound);  // too many tokens for them: sent by the other transport
  EXPECT_EQ(memory(p, 0, bound, 0).communication_buffers.value, 10.0 * (8 * 288 + 18 * 128 * 2) * (2 * 7168 + 2048));
  // Experts' rows are fixed beforehand: two experts, 144 ranks, 256 tokens each, with 2 * 2048 and 7168 columns alive at once.
  bind(p, 0, decode(128, 5000), bound);
  EXPECT_GT(memory(p, 0, bound, 0).activations.value, 2.0 * 144 * 256 * (2 * 2 * 2048 + 7168));
}

TEST(Memory, ActivationsOfAHandWorkedBlock) {
  // The head on 10 sampled rows of 40 tokens: residual stream in two parts, normed rows, logits; the sampled id comes when the norm is gone.
  const auto p = plan(find_model("deepseek-v3.2"), {}, {});
  BoundPlan bound;
  bind(p, 0, {{{1, 40, 0}}, 10}, bound);
  for (auto& block : bound.blocks)
    if (block.block->name != "head") block.block = bound.blocks.front().block;  // the embedding: less than the head
  EXPECT_EQ(memory(p, 0, bound, 0).activations.value, 2 * 2.0 * 40 * 7168 + std::max(2.0 * 10 * 7168 + 4.0 * 10 * 129'280, (4.0 + 4) * 10 * 129'280 / 2));
}

TEST(Memory, PredictionLayerAddsItsWeightsWithoutCopies) {
  const double with = weights_GB("deepseek-v3.2", {}, {.mtp_depth = 1}), without = weights_GB("deepseek-v3.2", {});
  const auto spec = find_model("deepseek-v3.2");
  const auto stored = static_cast<double>(totals(spec, tensor_table(spec), Scope::mtp).bytes);
  EXPECT_NEAR((with - without) * 1e9, stored - 2.0 * 2 * 926'679'040, 1);
}

}  // namespace
}  // namespace fathom::model_spec
