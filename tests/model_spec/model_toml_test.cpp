#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_spec/embedded.h"
#include "model_spec/error.h"
#include "model_spec/model.h"
#include "model_spec/toml.h"

namespace fathom::model_spec {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A sound spec with three layers; tests change one thing in it.
constexpr std::string_view small = R"(schema = 1
name = "small"
model_type = "deepseek_v32"
vocab_size = 256
hidden_size = 128
intermediate_size = 192
moe_intermediate_size = 64
num_attention_heads = 6
q_lora_rank = 80
kv_lora_rank = 64
qk_nope_head_dim = 32
qk_rope_head_dim = 16
v_head_dim = 24
n_routed_experts = 16
n_shared_experts = 1
num_experts_per_tok = 4
n_group = 4
topk_group = 2
max_position_embeddings = 4096
index_n_heads = 16
index_head_dim = 32
index_topk = 16

[[layers]]
attention = "mla"
ffn = "dense"

[[layers]]
repeat = 2
[[layers.layers]]
attention = "mla_sparse"
ffn = "moe"
)";

std::string errors_of(const std::string& text) {
  try {
    read_model_toml(text, "m.toml");
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::bad_file);
    return e.what();
  }
}

std::string errors_with(std::string_view key, std::string_view literal) { return errors_of(edit_toml(small, key, literal, "m.toml")); }

TEST(ModelToml, ReadsNestedLayersAndDefaults) {
  const ModelSpec m = read_model_toml(small, "m.toml");
  EXPECT_EQ(m.kv_lora_rank, 64);
  EXPECT_EQ(m.indexer, (Indexer{.index_n_heads = 16, .index_head_dim = 32, .index_topk = 16}));
  EXPECT_EQ(m.rope_scaling, std::nullopt);
  EXPECT_EQ(m.storage, Storage{});
  EXPECT_EQ(num_hidden_layers(m), 3);
  EXPECT_EQ(m.layers[1].layers[0].attention, Attention::mla_sparse);
}

TEST(ModelToml, ShippedV32) {
  const ModelSpec m = find_model("deepseek-v3.2");
  EXPECT_EQ(m.rope_scaling, (Yarn{.factor = 40, .original_max_position_embeddings = 4096, .beta_fast = 32, .beta_slow = 1, .mscale = 1, .mscale_all_dim = 1}));
  EXPECT_EQ(m.vocab_size, 129280);
  EXPECT_EQ(m.routed_scaling_factor, 2.5);
  EXPECT_EQ(m.num_nextn_predict_layers, 1);
}

TEST(ModelToml, WhatIsWrittenReadsBackTheSame) {
  std::vector<std::string> texts{std::string(small)};
  for (const auto& file : embedded::model_specs()) texts.emplace_back(file.text);
  for (const auto& text : texts) {
    const ModelSpec m = read_model_toml(text, "m.toml");
    const std::string written = write_model_toml(m);
    const ModelSpec again = read_model_toml(written, "written.toml");
    EXPECT_EQ(write_model_toml(again), written);
    EXPECT_EQ(again.aliases, m.aliases);
    EXPECT_EQ(again.indexer, m.indexer);
    EXPECT_EQ(again.rope_scaling, m.rope_scaling);
    EXPECT_EQ(again.storage, m.storage);
    EXPECT_EQ(layer_runs(again), layer_runs(m));
    EXPECT_EQ(again.qk_rope_head_dim, m.qk_rope_head_dim);
  }
}

TEST(ModelToml, AllProblemsInOneGo) {
  std::string text(small);
  text.replace(text.find("hidden_size"), 11, "hiden_size ");
  text.replace(text.find("n_routed_experts = 16"), 21, "n_routed_experts = 18");
  text.replace(text.find("q_lora_rank = 80"), 16, "q_lora_rank = \"x\"");
  text.replace(text.find("v_head_dim = 24"), 15, "v_head_dim = -4");
  EXPECT_EQ(errors_of(text),
            "m.toml:1:1: hidden_size: is missing\n"
            "m.toml:9:1: q_lora_rank: must be a whole number, not a string\n"
            "m.toml:13:1: v_head_dim: must lie between 1 and 4096, not -4\n"
            "m.toml:5:1: hiden_size: is not a key that is known here (did you mean 'hidden_size'?)\n"
            "m.toml:14:1: n_routed_experts: 18 experts do not divide into n_group = 4 groups");
}

TEST(ModelToml, ProblemsStandAtTheirKey) {
  EXPECT_THAT(errors_with("layers.1.repeat", "0"), HasSubstr("m.toml:29:1: layers.1.repeat: must lie between 1 and 100000, not 0"));
  EXPECT_THAT(errors_with("layers.1.layers.0.ffn", "\"mo\""),
              HasSubstr("m.toml:32:1: layers.1.layers.0.ffn: \"mo\" is not one of dense, moe (did you mean 'moe'?)"));
  EXPECT_THAT(errors_with("storage.embedding", "\"fp4\""), HasSubstr("storage.embedding: must be bf16 or fp32"));
  EXPECT_THAT(errors_with("storage.routed_experts", "\"int4\""), HasSubstr("(did you mean 'int8'?)"));
  EXPECT_THAT(errors_with("rope_theta", "nan"), HasSubstr("rope_theta: must be finite, not nan"));
  EXPECT_THAT(errors_with("schema", "2"), HasSubstr("m.toml:1:1: schema: this version reads schema 1"));
  EXPECT_THAT(errors_with("rope_scaling.factr", "4"), AllOf(HasSubstr("rope_scaling.factr: is not a key"), HasSubstr("rope_scaling.factor: is missing")));
}

TEST(ModelToml, AMisreadLayerHidesNoOtherProblemAndInventsNone) {
  const std::string errors = errors_with("layers.1.layers.0.attention", "\"sparse\"");
  EXPECT_THAT(errors, HasSubstr("layers.1.layers.0.attention"));
  EXPECT_THAT(errors, Not(HasSubstr("index_topk")));
}

TEST(ModelToml, RefusesHalfAPattern) {
  EXPECT_THAT(errors_with("layers.1.attention", "\"mla\""), HasSubstr("attention and ffn belong in the nested layers"));
  EXPECT_THAT(errors_with("layers.0.layers", "[]"), HasSubstr("must hold at least one [[layers.layers]]"));
  EXPECT_THAT(errors_with("index_topk", "0"), HasSubstr("index_topk: must lie between"));
  EXPECT_THAT(errors_of(std::string(small.substr(0, small.find("[[layers]]")))), HasSubstr("layers: there must be at least one layer"));
}

}  // namespace
}  // namespace fathom::model_spec
