// FLOPs of whole steps against the published arithmetic, and the structure of plans.
#include "model_spec/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace fathom::model_spec {
namespace {

// FLOP of the steps whose label is in the set (or all), over all layers.
double flops(const Plan& p, const Batch& batch, const std::set<std::string_view>& labels = {}) {
  BoundPlan bound;
  bind(p, 0, batch, bound);
  double sum = 0;
  for (const auto& block : bound.blocks)
    for (std::uint32_t i = 0; i < block.count; ++i) {
      const auto& step = bound.steps[block.first + i];
      if (labels.empty() || labels.contains(step.step->label)) sum += cost(step.op).total_matrix_flops() * static_cast<double>(block.block->repeats);
    }
  return sum;
}

const std::set<std::string_view> index_linears{"index_wq_b", "index_wk", "index_weights"};
const std::set<std::string_view> cores{"mha", "mha_masked", "mqa", "sparse_mla", "sparse_mla_prefill"};
const Policy separate{.fused = false};  // the indexer's projections as products of their own

// Decode of one token at context L (the token itself included): total, index scores, core attention in GFLOP; tables of printed digits.
struct DecodeRow {
  std::int64_t context;
  double v31, v32, indexer, core;
};
constexpr DecodeRow decode_rows[] = {
    {4096, 142.8, 113.8, 4.1, 34.8}, {32'768, 630.0, 142.5, 32.7, 34.8}, {131'072, 2300.2, 240.7, 131.0, 34.8}, {163'840, 2856.9, 273.5, 163.7, 34.8}};

TEST(PlanFlops, DecodeRows) {
  const auto v31 = plan(find_model("deepseek-v3.1-terminus"), {}, {});
  const auto v32 = plan(find_model("deepseek-v3.2"), {}, {});
  for (const auto& row : decode_rows) {
    const auto batch = decode(1, row.context - 1);
    EXPECT_NEAR(flops(v31, batch) / 1e9, row.v31, 0.05) << row.context;
    EXPECT_NEAR(flops(v32, batch) / 1e9, row.v32, 0.05) << row.context;
    EXPECT_NEAR(flops(v32, batch, {"index_logits"}) / 1e9, row.indexer, 0.05) << row.context;
    EXPECT_NEAR(flops(v32, batch, cores) / 1e9, row.core, 0.05) << row.context;
  }
}

TEST(PlanFlops, DecodeIsLinearInContext) {
  const auto v31 = plan(find_model("deepseek-v3.1-terminus"), {}, {});
  EXPECT_EQ(flops(v31, decode(1, 9999)), 73.249193984e9 + 16'990'208.0 * 10'000);
  const auto v32 = plan(find_model("deepseek-v3.2"), {}, {});
  EXPECT_EQ(flops(v32, decode(1, 9999)) - flops(v32, decode(1, 8999)), 999'424.0 * 1000);
}

struct PrefillRow {
  std::int64_t tokens;
  double linears, index_linears, mha, mqa, logits;
};
constexpr PrefillRow prefill_rows[] = {{2048, 146.2, 3.5, 10.5, 35.6, 2.1},
                                       {4096, 292.4, 7.0, 41.9, 106.9, 8.4},
                                       {8192, 584.9, 14.0, 167.7, 249.4, 33.5},
                                       {16'384, 1169.7, 27.9, 670.7, 534.5, 134.1},
                                       {32'768, 2339.5, 55.8, 2682.9, 1104.6, 536.6},
                                       {65'536, 4679.0, 111.6, 10731, 2244.8, 2146.3},
                                       {131'072, 9358.0, 223.2, 42925, 4525.2, 8585.1}};

// Half a unit of the last printed digit.
double printed(double v) { return v > 10'000 ? 0.5 : 0.05; }

TEST(PlanFlops, PrefillRows) {
  auto policy = separate;
  policy.dense_prefill_max_context = 0;  // scores for every length
  policy.prefill_attention = PrefillAttention::mqa;
  const auto mqa = plan(find_model("deepseek-v3.2"), {}, policy);
  policy.prefill_attention = PrefillAttention::mha;
  const auto mha = plan(find_model("deepseek-v3.2"), {}, policy);
  for (const auto& row : prefill_rows) {
    const auto batch = prefill(1, row.tokens);
    const double head = 2 * 926'679'040.0, core = flops(mqa, batch, cores), logits = flops(mqa, batch, {"index_logits"});
    const double index = flops(mqa, batch, index_linears);
    EXPECT_NEAR((flops(mqa, batch) - head - core - logits - index) / 1e12, row.linears, printed(row.linears)) << row.tokens;
    EXPECT_NEAR(index / 1e12, row.index_linears, 0.05) << row.tokens;
    EXPECT_NEAR(flops(mha, batch, cores) / 1e12, row.mha, printed(row.mha)) << row.tokens;
    EXPECT_NEAR(core / 1e12, row.mqa, printed(row.mqa)) << row.tokens;
    EXPECT_NEAR(logits / 1e12, row.logits, printed(row.logits)) << row.tokens;
    // Expanding keys and values costs as much as absorbing them.
    EXPECT_EQ(flops(mha, batch) - flops(mha, batch, cores), flops(mqa, batch) - core) << row.tokens;
  }
}

TEST(PlanFlops, TrainingTokenAt4K) {
  const auto v3 = plan(find_model("deepseek-v3"), {}, {});
  auto batch = prefill(1, 4096);
  batch.sampled = 4096;  // the loss wants logits of every token
  EXPECT_NEAR(3 * flops(v3, batch) / 4096 / 1e9, 250.46, 0.005);
}

TEST(PlanFlops, FusionChangesNoProduct) {
  const auto fused = plan(find_model("deepseek-v3.2"), {}, {}), plain = plan(find_model("deepseek-v3.2"), {}, separate);
  EXPECT_EQ(flops(fused, prefill(2, 3000)), flops(plain, prefill(2, 3000)));
}

TEST(PlanFlops, MtpDraft) {
  const auto spec = find_model("deepseek-v3.2");
  const auto with = plan(spec, {}, {.mtp_depth = 1}), without = plan(spec, {}, {});
  const auto batch = decode(1, 4095);
  const double layer = 2.0 * (139'264.0 * 2048 + 8192.0 * 4096);  // core and scores of one layer
  const double draft = 2.0 * (187'105'280.0 + 13'959'168.0 + 398'196'736.0 + 102'760'448.0 + 926'679'040.0);
  EXPECT_EQ(flops(with, batch) - flops(without, batch), draft + layer);
  EXPECT_NEAR(draft / 1e9, 3.26, 0.005);
}

TEST(Plan, TensorParallelRanksShareTheWork) {
  const auto spec = find_model("deepseek-v3.2");
  const auto one = plan(spec, {}, {}), eight = plan(spec, {.tp = 8, .ep = 8}, {});
  const auto batch = prefill(1, 8192);
  const std::set<std::string_view> split{"q_b",         "o_proj",   "sparse_mla_prefill", "mha_masked", "kv_b",
                                         "ffn_gate_up", "ffn_down", "shared_gate_up",     "shared_down"};
  EXPECT_DOUBLE_EQ(flops(one, batch, split), 8 * flops(eight, batch, split));
  EXPECT_EQ(flops(one, batch, {"index_logits", "qkv_a", "router"}), flops(eight, batch, {"index_logits", "qkv_a", "router"}));  // replicated
}

// Which exchanges a MoE layer makes, over how many ranks and with how many rows, when a rank has 64 tokens.
struct Exchanged {
  const char* label;
  std::int64_t ranks, rows;
  friend bool operator==(const Exchanged& a, const Exchanged& b) { return std::string_view(a.label) == b.label && a.ranks == b.ranks && a.rows == b.rows; }
};
std::vector<Exchanged> exchanges(const Layout& layout) {
  const auto p = plan(find_model("deepseek-v3.2"), layout, {});
  BoundPlan bound;
  bind(p, 0, decode(64, 4096), bound);
  const auto& moe = bound.blocks[3];
  std::vector<Exchanged> result;
  for (std::uint32_t i = moe.first; i < moe.first + moe.count; ++i)
    std::visit(
        [&](const auto& op) {
          if constexpr (requires { op.ranks; }) result.push_back({bound.steps[i].step->label, op.ranks, op.tokens});
        },
        bound.steps[i].op);
  return result;
}

TEST(Plan, ExchangesOfLayouts) {
  using List = std::vector<Exchanged>;
  EXPECT_EQ(exchanges({}), List{});
  EXPECT_EQ(exchanges({.tp = 8, .ep = 8}), (List{{"attn_all_reduce", 8, 64}, {"moe_all_reduce", 8, 64}}));
  EXPECT_EQ(exchanges({.tp = 8, .etp = 8}), (List{{"attn_all_reduce", 8, 64}, {"moe_all_reduce", 8, 64}}));
  EXPECT_EQ(exchanges({.dp = 8, .ep = 8}), (List{{"dispatch_ll", 8, 64}, {"combine_ll", 8, 64}}));
  EXPECT_EQ(exchanges({.dp = 8, .etp = 8}), (List{{"moe_all_gather", 8, 512}, {"experts_all_gather", 8, 512}, {"moe_reduce_scatter", 8, 512}}));
  // Each of four tensor-parallel ranks sends its quarter of the tokens that they share.
  EXPECT_EQ(exchanges({.tp = 4, .dp = 2, .ep = 8}),
            (List{{"attn_all_reduce", 4, 64}, {"dispatch_ll", 8, 16}, {"shared_reduce_scatter", 4, 64}, {"combine_ll", 8, 16}, {"moe_tp_all_gather", 4, 64}}));
}

TEST(Plan, ExpertWorkIsSharedOutWhole) {
  // Expected rows of the slowest rank exceed the mean; times the ranks and slices they are at least the whole, and not twice it.
  const double whole = flops(plan(find_model("deepseek-v3.2"), {}, {}), decode(512, 4096), {"expert_gate_up", "expert_down"});
  for (const auto& l : {Layout{.tp = 8, .ep = 8}, Layout{.tp = 8, .etp = 8}, Layout{.dp = 8, .ep = 8}, Layout{.dp = 8, .etp = 8},
                        Layout{.tp = 4, .dp = 2, .etp = 2, .ep = 4}}) {
    const auto shared =
        static_cast<double>(gpus(l)) * flops(plan(find_model("deepseek-v3.2"), l, {}), decode(512 / l.dp, 4096), {"expert_gate_up", "expert_down"});
    EXPECT_GE(shared, whole * (1 - 1e-12)) << label(l);
    EXPECT_LT(shared, whole * 1.1) << label(l);
  }
}

TEST(Plan, MixedStorageIsQuantisedForItsReader) {
  auto spec = find_model("deepseek-v3.2");
  spec.storage.attention = DType::bf16;
  const auto p = plan(spec, {}, {});
  for (const auto& block : p.stages[0].blocks)
    for (const auto& step : block.steps) {
      const auto* gemm = std::get_if<Gemm<std::int64_t>>(&step.op);
      for (const auto& o : step.operands) EXPECT_TRUE(!gemm || o.role != Role::input || block.activations[o.id].type == gemm->activation) << step.label;
    }
}

TEST(Plan, RepeatedBlocksEqualTheUnrolledPlan) {
  for (const auto& source : list_models()) {
    const auto spec = find_model(source.name);
    for (const auto& layout : {Layout{}, Layout{.dp = 32, .ep = 32}, Layout{.tp = 2, .pp = 3, .ep = 2}}) {
      const auto rolled = plan(spec, layout, {}), unrolled = plan(spec, layout, {}, true);
      for (std::size_t s = 0; s < rolled.stages.size(); ++s) {
        BoundPlan a, b;
        bind(rolled, s, decode(64, 5000), a);
        bind(unrolled, s, decode(64, 5000), b);
        EXPECT_LT(a.blocks.size(), b.blocks.size());
        const auto ca = total_cost(a), cb = total_cost(b);
        EXPECT_NEAR(ca.total_matrix_flops() / cb.total_matrix_flops(), 1, 1e-12) << source.name;
        EXPECT_NEAR(ca.hbm_bytes() / cb.hbm_bytes(), 1, 1e-12) << source.name;
        EXPECT_NEAR(ca.sent_bytes, cb.sent_bytes, 1e-12 * cb.sent_bytes) << source.name;
      }
    }
  }
}

TEST(Plan, PathFollowsTheGroup) {
  const auto v32 = find_model("deepseek-v3.2"), v3 = find_model("deepseek-v3");
  const Policy p;
  EXPECT_EQ(choose_path(v3, p, Attention::mla, {1, 4096, 0}), Path::dense_mha);
  EXPECT_EQ(choose_path(v3, p, Attention::mla, {1, 2, 4096}), Path::dense_mqa);
  EXPECT_EQ(choose_path(v32, p, Attention::mla_sparse, {1, 2048, 0}), Path::dense_mha);   // all keys are chosen
  EXPECT_EQ(choose_path(v32, p, Attention::mla_sparse, {1, 4096, 0}), Path::masked_mha);  // fewer multiply-adds than sparse MQA
  EXPECT_EQ(choose_path(v32, p, Attention::mla_sparse, {1, 32'768, 0}), Path::sparse_prefill);
  EXPECT_EQ(choose_path(v32, p, Attention::mla_sparse, {1, 2, 100}), Path::sparse_decode);
  EXPECT_EQ(choose_path(v32, {.dense_decode_max_context = -1}, Attention::mla_sparse, {1, 2, 100}), Path::dense_mqa);
}

TEST(Plan, MixedBatchRunsEachGroupOnItsPath) {
  const auto p = plan(find_model("deepseek-v3.2"), {}, {});
  BoundPlan bound;
  bind(p, 0, {{{1, 32'768, 0}, {64, 1, 5000}, {2, 1024, 0}}, 67}, bound);
  std::set<std::string_view> labels;
  std::int64_t product_rows = 0, wq_rows = 0;
  const auto& block = bound.blocks[1];
  for (std::uint32_t i = 0; i < block.count; ++i) {
    const auto& step = bound.steps[block.first + i];
    labels.insert(step.step->label);
    if (step.step->label == std::string_view("o_proj")) product_rows = std::get<Gemm<std::int64_t>>(step.op).tokens;
    if (step.step->label == std::string_view("index_wq_b")) wq_rows = std::get<Gemm<std::int64_t>>(step.op).tokens;
  }
  EXPECT_TRUE(labels.contains("sparse_mla_prefill") && labels.contains("sparse_mla") && labels.contains("mha"));
  EXPECT_EQ(product_rows, 32'768 + 64 + 2048);
  EXPECT_EQ(wq_rows, 32'768 + 64);  // sequences shorter than top-k need no scores, only their keys
}

TEST(Plan, DependenciesPointBackAndJoinEveryStep) {
  for (const auto& stage : plan(find_model("deepseek-v3.2"), {.tp = 2, .dp = 4, .ep = 8}, {}).stages)
    for (const auto& block : stage.blocks)
      for (std::size_t i = 0; i < block.steps.size(); ++i) {
        for (const auto earlier : block.dependencies->before(i)) EXPECT_LT(earlier, i) << block.steps[i].label;
        const bool waits = i > 0 && block.first_layer >= 0 && block.first_layer < 61;
        EXPECT_TRUE(!waits || !block.dependencies->before(i).empty()) << block.steps[i].label;
      }
}

TEST(Plan, SharedExpertDoesNotWaitForTheDispatch) {
  const auto p = plan(find_model("deepseek-v3.2"), {.dp = 8, .ep = 8}, {});
  const auto& block = p.stages[0].blocks.back().name == "head" ? p.stages[0].blocks[3] : p.stages[0].blocks.back();
  std::size_t dispatch = 0, shared = 0;
  for (std::size_t i = 0; i < block.steps.size(); ++i) {
    if (block.steps[i].label == std::string_view("dispatch_ll")) dispatch = i;
    if (block.steps[i].label == std::string_view("shared_gate_up")) shared = i;
  }
  ASSERT_LT(dispatch, shared);
  const auto before = block.dependencies->before(shared);
  EXPECT_EQ(std::count(before.begin(), before.end(), dispatch), 0);
}

TEST(Plan, BindReusesItsStorage) {
  const auto p = plan(find_model("deepseek-v3.2"), {.dp = 144, .ep = 144, .redundant_experts = 32}, {});
  BoundPlan bound;
  bind(p, 0, decode(128, 4989), bound);
  const auto* steps = bound.steps.data();
  const auto* blocks = bound.blocks.data();
  bind(p, 0, decode(64, 9989), bound);
  EXPECT_EQ(bound.steps.data(), steps);
  EXPECT_EQ(bound.blocks.data(), blocks);
}

TEST(Plan, GraphExports) {
  const auto p = plan(find_model("deepseek-v3"), {}, {});
  const auto& block = p.stages[0].blocks[1];
  const auto dot = block.dependencies->graphviz("dense layer", block.steps);
  EXPECT_NE(dot.find("digraph"), std::string::npos);
  EXPECT_NE(dot.find("q_b"), std::string::npos);
  const auto xml = block.dependencies->graphml(block.steps);
  EXPECT_NE(xml.find("<graphml"), std::string::npos);
  EXPECT_NE(xml.find("latent_cache_write"), std::string::npos);
}

}  // namespace
}  // namespace fathom::model_spec
