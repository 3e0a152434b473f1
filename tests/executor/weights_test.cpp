#include "executor/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>

#include "executor/synthetic.h"

namespace fathom::executor {
namespace {

using kernels::cpu::ConstMatrix;
using model_spec::Attention;
using model_spec::Ffn;
using model_spec::Layout;
using model_spec::ModelSpec;
using model_spec::Policy;
using model_spec::Tensor;
using model_spec::Weight;

// A dense layer, two of experts and a prediction layer, in blocks that two ranks can share.
ModelSpec small_model() {
  return {.name = "small",
          .aliases = {},
          .model_type = "deepseek_v32",
          .source = "",
          .vocab_size = 64,
          .hidden_size = 128,
          .intermediate_size = 256,
          .moe_intermediate_size = 256,
          .num_attention_heads = 4,
          .q_lora_rank = 128,
          .kv_lora_rank = 64,
          .qk_nope_head_dim = 64,
          .qk_rope_head_dim = 64,
          .v_head_dim = 128,
          .n_routed_experts = 4,
          .n_shared_experts = 1,
          .num_experts_per_tok = 2,
          .rope_scaling = {},
          .num_nextn_predict_layers = 1,
          .indexer = model_spec::Indexer{.index_n_heads = 2, .index_head_dim = 128, .index_topk = 8},
          .layers = {{.attention = Attention::mla_sparse, .ffn = Ffn::dense, .layers = {}},
                     {.repeat = 2, .attention = Attention::mla_sparse, .ffn = Ffn::moe, .layers = {}}},
          .storage = {}};
}
constexpr Layout one_rank{};
constexpr Layout four_ranks{.tp = 2, .dp = 2, .etp = 2, .ep = 2};
const Policy with_mtp{.mtp_depth = 1};
const SyntheticWeights source(5);

RankWeights load(const Layout& layout, const Policy& policy, std::int64_t rank, Numerics numerics) {
  return {plan(small_model(), layout, policy), place_of(layout, rank), numerics, source};
}

// Numbers with their scales.
std::vector<float> numbers(const ConstMatrix& m) {
  std::vector<float> all;
  for (std::int64_t r = 0; r < m.rows(); ++r)
    for (const float x : kernels::cpu::load_row<float>(m.type(), m, r, m.columns())) all.push_back(x);
  return all;
}
std::vector<float> numbers(const Tensor& t, std::int64_t layer, std::int64_t expert = -1) {
  return numbers(source.load(t, layer, expert, {.rows = t.rows, .columns = t.columns}).view());
}

TEST(Weights, TensorNames) {
  const auto table = tensor_table(small_model());
  EXPECT_EQ(tensor_name(*find(table, Weight::expert_up), 12, 255), "model.layers.12.mlp.experts.255.up_proj.weight");
  EXPECT_EQ(tensor_name(*find(table, Weight::lm_head), -1, -1), "lm_head.weight");
}

TEST(Weights, NewMatricesHaveRoomForNumbersAndScales) {
  for (const auto type : {DType::fp32, DType::bf16, DType::fp8_block, DType::int8, DType::int4_group, DType::fp4}) {
    auto [stored, out] = new_matrix(type, 3, 131);
    for (std::int64_t r = 0; r < 3; ++r)
      for (std::int64_t c = 0; c < 131; ++c) {
        out.set(r, c, 1.0f);
        if (model_spec::has_scales(type)) out.set_scale(r, c, 2.0f);
      }
    EXPECT_EQ(numbers(stored.view()), std::vector<float>(3 * 131, model_spec::has_scales(type) ? 2.0f : 1.0f)) << name_of(type);
  }
}

TEST(Weights, ConvertedAppliesScales) {
  auto [stored, out] = new_matrix(DType::fp8_block, 129, 1);
  for (std::int64_t r = 0; r < 129; ++r) out.set(r, 0, 1.5f);
  out.set_scale(0, 0, 0.5f);
  out.set_scale(128, 0, 1 / 3.0f);
  const auto bf16 = converted(stored, DType::bf16), fp32 = converted(stored, DType::fp32);
  EXPECT_EQ(bf16.type, DType::bf16);
  EXPECT_EQ(bf16.view().get(127, 0), 0.75f);
  EXPECT_EQ(fp32.view().get(128, 0), 1.5f * (1 / 3.0f));
  EXPECT_EQ(bf16.view().get(128, 0), 0.5f);
  EXPECT_EQ(converted(bf16, DType::bf16).data, bf16.data);
}

TEST(Weights, SlicesByLiteral) {
  const auto table = tensor_table(small_model());
  const auto slice = [&](Weight id) { return slice_of(*find(table, id), four_ranks, place_of(four_ranks, 3)); };  // tp 1, dp 1, etp 1, ep 1
  const auto list = [](const Slice& s) { return std::vector{s.first_row, s.rows, s.first_column, s.columns}; };
  EXPECT_THAT(list(slice(Weight::q_a_proj)), testing::ElementsAre(0, 128, 0, 128));
  EXPECT_THAT(list(slice(Weight::q_b_proj)), testing::ElementsAre(256, 256, 0, 128));
  EXPECT_THAT(list(slice(Weight::o_proj)), testing::ElementsAre(0, 128, 256, 256));
  EXPECT_THAT(list(slice(Weight::expert_up)), testing::ElementsAre(128, 128, 0, 128));
  EXPECT_THAT(list(slice(Weight::expert_down)), testing::ElementsAre(0, 128, 128, 128));
}

// Every element of every tensor, from the slice of the rank that holds it.
TEST(Weights, SlicesPutTogetherAreTheWhole) {
  const auto model = small_model();
  ASSERT_EQ(check(model, four_ranks), std::nullopt);
  for (const auto& t : tensor_table(model)) {
    const auto whole = source.load(t, 1, 0, {.rows = t.rows, .columns = t.columns});
    std::vector<int> seen(static_cast<std::size_t>(t.parameters()));
    for (std::int64_t rank = 0; rank < 2; ++rank) {
      const auto s = slice_of(t, four_ranks, place_of(four_ranks, rank));
      const auto part = source.load(t, 1, 0, s);
      for (std::int64_t r = 0; r < s.rows; ++r)
        for (std::int64_t c = 0; c < s.columns; ++c) {
          ASSERT_EQ(part.view().get(r, c), whole.view().get(s.first_row + r, s.first_column + c)) << t.name;
          if (model_spec::has_scales(t.storage)) { ASSERT_EQ(part.view().scale(r, c), whole.view().scale(s.first_row + r, s.first_column + c)) << t.name; }
          ++seen[static_cast<std::size_t>((s.first_row + r) * t.columns + s.first_column + c)];
        }
    }
    EXPECT_THAT(seen, testing::Each(t.shard == model_spec::Shard::replicated ? 2 : 1)) << t.name;
  }
}

TEST(RankWeights, HoldEveryTensorAsItIsStored) {
  const auto weights = load(one_rank, {}, 0, Numerics::fp8);
  for (const auto& t : tensor_table(small_model()))
    for (std::int64_t layer = -1; layer < 3; ++layer) {
      const bool owned = std::ranges::any_of(t.layers, [&](const auto& range) { return layer >= range.first && layer < range.first + range.count; });
      if (!(t.layers.empty() ? layer == -1 : owned)) continue;
      const auto views = weights.experts(t.id, layer);
      ASSERT_EQ(static_cast<std::int64_t>(views.size()), t.experts) << t.name;
      for (std::size_t e = 0; e < views.size(); ++e) {
        EXPECT_EQ(views[e].type(), t.storage) << t.name;
        EXPECT_EQ(numbers(views[e]), numbers(t, layer, static_cast<std::int64_t>(e))) << t.name;
      }
    }
  const auto& norm = weights.get(Weight::final_norm, -1);
  EXPECT_EQ(norm.rows(), 1);
  EXPECT_EQ(norm.columns(), 128);
  EXPECT_THROW((void)weights.get(Weight::ffn_gate, 1), std::out_of_range);  // a layer of experts
  EXPECT_THROW((void)weights.get(Weight::q_a_proj, 3), std::out_of_range);  // the prediction layer is not used
}

TEST(RankWeights, ExpertsOfARank) {
  const auto place = place_of(four_ranks, 2);  // ep 1, etp 0: experts 2 and 3, the first half of their features
  const RankWeights weights(plan(small_model(), four_ranks, {}), place, Numerics::exact, source);
  const auto table = tensor_table(small_model());
  const auto& up = *find(table, Weight::expert_up);
  const auto views = weights.experts(Weight::expert_up, 2);
  ASSERT_EQ(views.size(), 2u);
  for (const std::size_t e : {0u, 1u})
    EXPECT_EQ(numbers(views[e]), numbers(source.load(up, 2, static_cast<std::int64_t>(2 + e), {.rows = 128, .columns = 128}).view()));
}

TEST(RankWeights, StagesAndThePredictionLayer) {
  constexpr Layout stages{.pp = 2};  // layers 0 and 1, then 2 and the prediction layer 3
  const auto first = load(stages, with_mtp, 0, Numerics::fp8), last = load(stages, with_mtp, 1, Numerics::fp8);
  EXPECT_EQ(first.get(Weight::embed_tokens, -1).rows(), 64);
  EXPECT_EQ(first.get(Weight::q_a_proj, 1).rows(), 128);
  EXPECT_THROW((void)first.get(Weight::q_a_proj, 2), std::out_of_range);
  EXPECT_THROW((void)first.get(Weight::lm_head, -1), std::out_of_range);
  EXPECT_THROW((void)last.get(Weight::q_a_proj, 1), std::out_of_range);
  EXPECT_THROW((void)last.get(Weight::embed_tokens, -1), std::out_of_range);
  EXPECT_EQ(last.get(Weight::q_a_proj, 2).rows(), 128);
  EXPECT_EQ(last.get(Weight::mtp_eh_proj, 3).columns(), 256);
  EXPECT_EQ(last.experts(Weight::expert_down, 3).size(), 4u);
  EXPECT_EQ(last.get(Weight::mtp_lm_head, 3).data(), last.get(Weight::lm_head, -1).data());
  EXPECT_EQ(numbers(last.get(Weight::mtp_embed_tokens, 3)), numbers(first.get(Weight::embed_tokens, -1)));
}

// Notes what is asked of it.
class Noting : public WeightSource {
 public:
  [[nodiscard]] StoredMatrix load(const Tensor& t, std::int64_t layer, std::int64_t expert, const Slice& s) const override {
    names.push_back(tensor_name(t, layer, expert));
    return source.load(t, layer, expert, s);
  }
  mutable std::vector<std::string> names;
};

TEST(RankWeights, NothingIsLoadedTwice) {
  const Noting noting;
  const RankWeights weights(plan(small_model(), one_rank, with_mtp), {}, Numerics::fp8, noting);
  EXPECT_EQ(std::set(noting.names.begin(), noting.names.end()).size(), noting.names.size());
  EXPECT_THAT(noting.names, testing::Contains("model.layers.3.enorm.weight"));
  EXPECT_THAT(noting.names, testing::Not(testing::Contains("model.layers.3.embed_tokens.weight")));
  EXPECT_EQ(weights.get(Weight::mtp_embed_tokens, 3).data(), weights.get(Weight::embed_tokens, -1).data());
}

TEST(RankWeights, BytesAreThoseOfThePlan) {
  for (const Layout& layout : {one_rank, Layout{.pp = 2}}) {
    const auto p = plan(small_model(), layout, with_mtp);
    for (std::size_t stage = 0; stage < p.stages.size(); ++stage) {
      const auto& parts = p.stages[stage].weight_bytes;
      EXPECT_EQ(load(layout, with_mtp, static_cast<std::int64_t>(stage), Numerics::fp8).bytes(), std::accumulate(parts.begin(), parts.end(), 0.0)) << stage;
    }
  }
}

TEST(RankWeights, ProgressEndsAtAll) {
  std::vector<double> done;
  double all = 0;
  const RankWeights weights(plan(small_model(), one_rank, {}), {}, Numerics::fp8, source, [&](double d, double a) {
    done.push_back(d);
    all = a;
  });
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(done.back(), all);
  EXPECT_EQ(all, weights.bytes());
}

TEST(RankWeights, Bf16NumericsHoldNoScales) {
  const auto stored = load(one_rank, {}, 0, Numerics::exact), bf16 = load(one_rank, {}, 0, Numerics::bf16);
  for (const auto id : {Weight::q_a_proj, Weight::expert_gate}) {
    const auto& m = bf16.get(id, 1);
    EXPECT_EQ(stored.get(id, 1).type(), DType::fp8_block);
    EXPECT_EQ(m.type(), DType::bf16);
    auto expected = numbers(stored.get(id, 1));
    for (float& x : expected) x = kernels::cpu::round_bf16(x);
    EXPECT_EQ(numbers(m), expected);
  }
  EXPECT_EQ(bf16.get(Weight::router_bias, 1).type(), DType::fp32);
}

class Absorbed : public testing::TestWithParam<Numerics> {};
TEST_P(Absorbed, AreTheRowsOfKvB) {
  constexpr std::int64_t heads = 4, nope = 64, v = 128, latent = 64;
  const auto weights = load(one_rank, {}, 0, GetParam());
  const auto type = GetParam() == Numerics::exact ? DType::fp32 : DType::bf16;
  const auto kv_b = numbers(weights.get(Weight::kv_b_proj, 2));  // [heads * (nope + v), latent]
  const auto expected = [&](std::int64_t row, std::int64_t c) {
    const float x = kv_b[static_cast<std::size_t>(row * latent + c)];
    return type == DType::fp32 ? x : kernels::cpu::round_bf16(x);
  };
  const auto k = weights.absorbed_k(2), values = weights.absorbed_v(2);
  ASSERT_EQ(k.size(), 4u);
  ASSERT_EQ(values.size(), 4u);
  for (std::int64_t h = 0; h < heads; ++h) {
    const auto &uk = k[static_cast<std::size_t>(h)], &uv = values[static_cast<std::size_t>(h)];
    ASSERT_EQ(uk.type(), type);
    ASSERT_EQ(uv.type(), type);
    ASSERT_EQ(uk.rows(), nope);
    ASSERT_EQ(uv.rows(), latent);
    ASSERT_EQ(uv.columns(), v);
    for (std::int64_t c = 0; c < latent; ++c) {
      for (std::int64_t r = 0; r < nope; ++r) ASSERT_EQ(uk.get(r, c), expected(h * (nope + v) + r, c));
      for (std::int64_t r = 0; r < v; ++r) ASSERT_EQ(uv.get(c, r), expected(h * (nope + v) + nope + r, c));
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Numerics, Absorbed, testing::Values(Numerics::exact, Numerics::bf16, Numerics::fp8),
                         [](const auto& numerics) { return std::string(name_of(numerics.param)); });

}  // namespace
}  // namespace fathom::executor
