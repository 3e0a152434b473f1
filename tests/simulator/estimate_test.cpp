#include "simulator/estimate.h"

#include <gtest/gtest.h>

#include "tests/simulator/fixture.h"

namespace fathom::simulator {
namespace {

Scenario scenario() {
  Scenario s{.model = find_model("deepseek-v3.2"), .prefill = {}, .decode = {}, .calibration = {}, .workload = {}, .prices = {}};
  s.prefill = {.system = "h800_sxm", .layout = {.dp = 32, .ep = 32, .redundant_experts = 32}, .policy = {}};
  s.decode = {.system = "h800_sxm", .layout = {.dp = 144, .ep = 144, .redundant_experts = 32}, .policy = {}, .batch = 64};
  return s;
}

TEST(Estimate, FiguresFollowFromTheSteps) {
  const auto s = scenario();
  const auto e = estimate(s);
  ASSERT_TRUE(e.feasible()) << e.prefill.reason << e.decode.reason;
  EXPECT_EQ(e.prefill.gpus, 32);
  EXPECT_EQ(e.prefill.batch.groups[0], (Group{4, 4000, 0}));  // what fills a chunk of 16,384
  EXPECT_EQ(e.decode.batch.groups[0], (Group{64, 1, 4500}));  // half the output is behind an average token
  EXPECT_DOUBLE_EQ(e.ttft.value, e.prefill.step.value);
  EXPECT_DOUBLE_EQ(e.prefill.tokens_per_second_per_gpu, 16'000 / e.prefill.step.value);
  EXPECT_DOUBLE_EQ(e.tpot.value, e.decode.step.value);
  EXPECT_DOUBLE_EQ(e.decode.tokens_per_second_per_gpu, 64 / e.decode.step.value);
  EXPECT_DOUBLE_EQ(e.request_latency.value, e.ttft.value + 999 * e.tpot.value);
  ASSERT_TRUE(e.costs && e.usd_per_gpu_hour);
  EXPECT_NEAR(e.costs->output, 2.0 / 3600 / e.decode.tokens_per_second_per_gpu * 1e6, 1e-12);
  EXPECT_NEAR(e.costs->input_miss, 2.0 / 3600 / e.prefill.tokens_per_second_per_gpu * 1e6, 1e-12);
  EXPECT_GT(e.costs->input_hit, 0);
  EXPECT_LT(e.costs->input_hit, e.costs->input_miss);
  ASSERT_TRUE(e.margins);
  EXPECT_NEAR(e.margins->output, 1 - e.costs->output / 0.42, 1e-12);
}

TEST(Estimate, UtilisationAndPriceScaleCosts) {
  auto s = scenario();
  const auto full = estimate(s);
  s.prices.utilisation = 0.5;
  s.prices.usd_per_gpu_hour = 3;
  const auto half = estimate(s);
  EXPECT_NEAR(half.costs->output, full.costs->output * 3, 1e-12);
  EXPECT_NEAR(half.costs->input_hit, full.costs->input_hit * 3, 1e-12);
}

TEST(Estimate, PromptsThatFillMemoryBeforeAChunkRunInSmallerBatches) {
  auto s = scenario();
  s.workload = {.isl = 128'000, .osl = 1000, .prefix = 127'000};  // sixteen of 1,000 new tokens would fill a chunk
  const auto e = estimate(s);
  EXPECT_EQ(e.prefill.reason, "");
  EXPECT_EQ(e.prefill.batch.sequences(), e.prefill.fit.largest_batch);
  EXPECT_LT(e.prefill.batch.sequences(), 16);
}

TEST(Estimate, LongPromptsRunInChunks) {
  auto s = scenario();
  s.workload = {.isl = 100'000, .osl = 1000};
  const auto e = estimate(s);
  EXPECT_EQ(e.prefill.batch.groups[0], (Group{1, 16'384, 5 * 16'384}));  // the last full chunk; 1,696 tokens are left for a seventh
  EXPECT_GT(e.ttft.value, 4.5 * e.prefill.step.value);
  EXPECT_LT(e.ttft.value, 6.5 * e.prefill.step.value);
  s.workload.isl = 6 * 16'384;
  EXPECT_NEAR(estimate(s).prefill.fit.memory.activations.value, e.prefill.fit.memory.activations.value, 1);
}

TEST(Estimate, TheFirstStepOfALongPromptIsAPromptOfOneChunk) {
  for (const std::int64_t pp : {1, 4}) {
    auto s = scenario();
    s.prefill.layout.pp = pp;
    s.prefill.policy.chunked_prefill_tokens = 8192;
    s.workload.isl = 8192;
    const auto chunk = estimate(s);
    s.workload.isl = 40'000;
    const auto e = estimate(s);
    ASSERT_TRUE(e.prefill.reason.empty()) << e.prefill.reason;
    EXPECT_NEAR(e.first_latency / chunk.prefill.step, 1, 1e-3);  // but for the head, which works in the last chunk only
    EXPECT_LT(e.first_interval, e.prefill.interval);             // later chunks look back at more
    EXPECT_EQ(e.prompt_steps, 5);
    EXPECT_NEAR(e.ttft / (e.first_latency + 5.0 * e.prefill.interval - e.first_interval), 1, 1e-12);
    EXPECT_EQ(chunk.prompt_steps, 1);
    EXPECT_EQ(chunk.ttft, chunk.first_latency);
  }
}

TEST(Estimate, ANewTokenCostsItsGpuSeconds) {
  auto s = scenario();
  s.prefill.system = "h200_sxm";
  const auto e = estimate(s);
  const auto price = hardware_profiles::find_profile("h200_sxm").price->typical;
  EXPECT_EQ(e.prefill_usd_per_gpu_hour, price);
  EXPECT_NE(e.usd_per_gpu_hour, price);
  EXPECT_NEAR(e.gpu_seconds_per_new_token * e.prefill.tokens_per_second_per_gpu, 1, 1e-12);
  EXPECT_NEAR(e.gpu_seconds_per_new_token * price / 3600 * 1e6, e.costs->input_miss, 1e-12);
}

TEST(Estimate, PrefixTokensAreNotComputedAgain) {
  auto s = scenario();
  s.workload = {.isl = 8000, .osl = 1000, .prefix = 4000};
  const auto e = estimate(s);
  EXPECT_EQ(e.prefill.batch.groups[0], (Group{4, 4000, 4000}));
}

TEST(Estimate, MissedAndCachedTokensTogetherPayForTheTimeTaken) {
  auto s = scenario();
  s.workload = {.isl = 8000, .osl = 1000, .prefix = 7000};
  const auto e = estimate(s);
  const double taken = 1000 / e.prefill.tokens_per_second_per_gpu * 2.0 / 3600 * 1e6;
  EXPECT_NEAR(1000 * e.costs->input_miss + 7000 * e.costs->input_hit, taken, 1e-6 * taken);
  s.workload.prefix = 3000;
  EXPECT_LT(estimate(s).costs->input_hit, e.costs->input_miss);
}

TEST(Estimate, AcceptedDraftsShortenTheTokenTime) {
  auto s = scenario();
  s.decode.policy.mtp_depth = 1;
  s.workload.nextn_accepted = 0.8;
  const auto e = estimate(s);
  EXPECT_EQ(e.decode.batch.groups[0].new_tokens, 2);
  EXPECT_DOUBLE_EQ(e.tpot.value, e.decode.step.value / 1.8);
}

TEST(Estimate, PipelineLatencyIsTheSumAndThroughputTheSlowestStage) {
  auto s = scenario();
  s.decode.layout = {.dp = 16, .pp = 4, .ep = 16, .micro_batches = 4};
  s.decode.batch = 8;
  const auto e = estimate(s);
  ASSERT_TRUE(e.feasible()) << e.decode.reason;
  // Four micro-batches in four stages: a token waits for all stages, or for the slowest four times.
  EXPECT_GE(e.decode.step.value, 4 * e.decode.trace.total.value - 1e-12);
  EXPECT_LT(e.decode.step.value, 4.5 * e.decode.trace.total.value);
  EXPECT_DOUBLE_EQ(e.decode.tokens_per_second_per_gpu, 4 * 8 * 16 / e.decode.step.value / 64);
}

TEST(Estimate, ReasonsWhyNot) {
  auto s = scenario();
  s.decode.layout = {.dp = 8, .ep = 8};
  auto e = estimate(s);
  EXPECT_FALSE(e.feasible());
  EXPECT_EQ(e.decode.reason.substr(0, 11), "weights of ") << e.decode.reason;
  s = scenario();
  s.decode.batch = 100'000;
  e = estimate(s);
  EXPECT_NE(e.decode.reason.find("would fit"), std::string::npos) << e.decode.reason;
  s = scenario();
  s.total_gpus = 128;
  EXPECT_EQ(estimate(s).decode.reason, "144 GPUs are more than the 128 of the cluster");
  s.decode.policy.mtp_depth = 1;
  s.model.num_nextn_predict_layers = 0;
  EXPECT_EQ(estimate(s).decode.reason, "nextn = 1 drafts a step, but deepseek-v3.2 has no multi-token prediction layer");
  s = scenario();
  s.model.storage.routed_experts = DType::fp4;
  EXPECT_EQ(estimate(s).decode.reason, "h800_sxm has no rate for fp4 products, which fp4 weights need");
  s.decode.layout.tp = 3;
  EXPECT_EQ(estimate(s).decode.reason, "128 attention heads are not divisible by tp = 3");
}

TEST(Fit, LargestBatchIsTheLastThatFits) {
  const auto s = scenario();
  const auto profile = hardware_profiles::find_profile("h800_sxm");
  const auto p = plan(s.model, s.decode.layout, {});
  const auto of = [&](std::int64_t n) { return fit(p, profile, {{decode(n, 4999)}, n, 5000}, 0.9); };
  const auto largest = of(1).largest_batch;
  ASSERT_GT(largest, 1);
  EXPECT_EQ(of(largest).reason, "");
  EXPECT_NE(of(largest + 1).reason, "");
}

TEST(Vram, SmallestLayoutThatFits) {
  auto s = scenario();
  const auto rows = vram(s, {"h800_sxm", "h200_sxm"}, 64);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].gpus, 8);  // eight H200 are the smallest single node that holds the model
  EXPECT_EQ(rows[1].reason, "");
  EXPECT_GT(rows[0].gpus, 8);
  EXPECT_EQ(rows[0].batch, (64 + rows[0].layout.dp - 1) / rows[0].layout.dp);
  s.total_gpus = 8;
  EXPECT_NE(vram(s, {"h800_sxm"}, 64)[0].reason, "");
}

}  // namespace
}  // namespace fathom::simulator
