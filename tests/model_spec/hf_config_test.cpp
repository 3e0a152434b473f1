#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_spec/error.h"
#include "model_spec/model.h"
#include "model_spec/toml.h"

namespace fathom::model_spec {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string data = "tests/model_spec/data/";
const std::string v32_text = read_text_file(data + "config-deepseek-v3.2.json");

ModelSpec read(const std::string& name) { return read_hf_config(read_text_file(data + name), name); }

std::string errors_of(std::string_view json) {
  try {
    read_hf_config(json, "config.json");
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::bad_file);
    return e.what();
  }
}

// V3.2's config with one piece of text replaced.
std::string with(std::string_view from, std::string_view to) {
  std::string text = v32_text;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}
std::string adding(std::string_view member) { return with("{", "{\n" + std::string(member) + ",\n"); }

TEST(HfConfig, V32EqualsTheShippedSpec) {
  ModelSpec m = read_hf_config(v32_text, "DeepSeek-V3.2/config.json");
  EXPECT_EQ(m.name, "DeepSeek-V3.2");
  const ModelSpec shipped = find_model("deepseek-v3.2");
  m.name = shipped.name;
  m.aliases = shipped.aliases;
  m.source = shipped.source;
  EXPECT_EQ(write_model_toml(m), write_model_toml(shipped));
}

TEST(HfConfig, DenseAttentionWithYarnInFloat32) {
  const ModelSpec m = read("config-v3-dense-yarn.json");
  EXPECT_EQ(m.model_type, "deepseek_v3");
  EXPECT_EQ(m.indexer, std::nullopt);
  EXPECT_EQ(m.rope_scaling->factor, 40);
  EXPECT_EQ(m.storage.attention, DType::fp32);
  EXPECT_EQ(m.storage.embedding, DType::fp32);
  EXPECT_EQ(layer_runs(m).size(), 2u);
  EXPECT_EQ(layer_runs(m)[1].attention, Attention::mla);
}

TEST(HfConfig, SparseAttentionWithAndWithoutYarn) {
  EXPECT_EQ(read("config-v32-fp32.json").rope_scaling, std::nullopt);
  const ModelSpec m = read("config-v32-yarn-fp8-mtp.json");
  EXPECT_EQ(m.storage, Storage{});
  EXPECT_EQ(m.num_nextn_predict_layers, 1);
  EXPECT_EQ(m.indexer, (Indexer{.index_n_heads = 32, .index_head_dim = 128, .index_topk = 32}));
}

TEST(HfConfig, NewerRopeParametersSayTheSame) {
  const ModelSpec m =
      read_hf_config(with("\"type\": \"yarn\"\n  },\n  \"rope_theta\": 10000,", "\"rope_type\": \"yarn\", \"rope_theta\": 5000.0},"), "config.json");
  EXPECT_EQ(m.rope_theta, 5000);
  std::string text = with("\"rope_scaling\"", "\"rope_parameters\"");
  EXPECT_EQ(read_hf_config(text, "config.json").rope_scaling, find_model("deepseek-v3.2").rope_scaling);
  text = with("\"rope_theta\": 10000,", "\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 7.5},");
  EXPECT_EQ(read_hf_config(text, "config.json").rope_theta, 7.5);
}

TEST(HfConfig, PatternsOfDenseAndMoeLayers) {
  const ModelSpec m = read_hf_config(with("\"moe_layer_freq\": 1", "\"moe_layer_freq\": 2"), "config.json");
  EXPECT_EQ(layer_runs(m)[0].count, 4);  // 0..3: layer 4 is the first even one from 3 on
  EXPECT_EQ(layer_runs(m)[1].ffn, Ffn::moe);
  EXPECT_EQ(layer_runs(m)[1].count, 1);
  const ModelSpec listed =
      read_hf_config(with("\"num_hidden_layers\": 61", "\"num_hidden_layers\": 3, \"mlp_layer_types\": [\"dense\", \"sparse\", \"sparse\"]"), "config.json");
  EXPECT_EQ(layer_runs(listed)[1].count, 2);
}

TEST(HfConfig, AnotherArchitectureIsRefusedByNameAndAlone) {
  EXPECT_EQ(errors_of(with("DeepseekV32ForCausalLM", "KimiK2ForCausalLM")),
            "config.json:2:3: architectures: architecture \"KimiK2ForCausalLM\" is not understood; "
            "Fathom reads deepseek_v3 (DeepseekV3ForCausalLM) and deepseek_v32 (DeepseekV32ForCausalLM)");
  EXPECT_THAT(errors_of("{\"model_type\": \"deepseek_v4\"}"), HasSubstr("config.json:1:2: model_type: architecture \"deepseek_v4\" is not understood"));
  EXPECT_THAT(errors_of(with("deepseek_v32", "deepseek_v3")), HasSubstr("architectures"));
  EXPECT_THAT(errors_of("{}"), HasSubstr("model_type: is missing"));
}

TEST(HfConfig, WhatChangesTheComputationIsRefusedByName) {
  EXPECT_THAT(errors_of(with("noaux_tc", "greedy")), HasSubstr("topk_method: \"greedy\" is not understood, only \"noaux_tc\""));
  EXPECT_THAT(errors_of(with("sigmoid", "softmax")), HasSubstr("scoring_func"));
  EXPECT_THAT(errors_of(with("silu", "gelu")), HasSubstr("hidden_act"));
  EXPECT_THAT(errors_of(with("\"attention_bias\": false", "\"attention_bias\": true")), HasSubstr("attention_bias: true is not understood"));
  EXPECT_THAT(errors_of(with("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true")), HasSubstr("tie_word_embeddings"));
  EXPECT_THAT(errors_of(with("\"norm_topk_prob\": true", "\"norm_topk_prob\": false")), HasSubstr("norm_topk_prob: false is not understood"));
  EXPECT_THAT(errors_of(with("\"num_key_value_heads\": 128", "\"num_key_value_heads\": 8")),
              HasSubstr("num_key_value_heads: must equal num_attention_heads = 128"));
  EXPECT_THAT(errors_of(adding("\"indexer_rope_interleave\": true")), HasSubstr("indexer_rope_interleave: true is not understood"));
  EXPECT_THAT(errors_of(adding("\"sliding_window\": 128")), HasSubstr("config.json:2:1: sliding_window: is not a key that is known here"));
  EXPECT_THAT(errors_of(with("\"q_lora_rank\": 1536", "\"q_lora_rank\": null")), HasSubstr("q_lora_rank: is missing"));
  EXPECT_THAT(errors_of(with("\"yarn\"", "\"linear\"")), HasSubstr("rope_scaling.type: \"linear\" is not understood"));
  EXPECT_THAT(errors_of(with("bfloat16", "float16")), HasSubstr("torch_dtype: \"float16\" is not one of bfloat16, float32"));
}

TEST(HfConfig, QuantisationIsUnderstoodOrRefused) {
  const std::string errors = errors_of(with("\"quant_method\": \"fp8\"", "\"quant_method\": \"awq\", \"bits\": 4"));
  EXPECT_THAT(errors, AllOf(HasSubstr("quantization_config.quant_method: quantisation \"awq\" is not understood"), Not(HasSubstr("bits"))));
  EXPECT_THAT(errors_of(with("[128, 128]", "[64, 128]")), HasSubstr("weight_block_size: must be [128, 128]"));
  EXPECT_THAT(errors_of(with("\"fmt\": \"e4m3\"", "\"fmt\": \"e4m3\", \"modules_to_not_convert\": [\"x\"]")), HasSubstr("modules_to_not_convert"));
}

TEST(HfConfig, InconsistentSizesAreFound) {
  EXPECT_THAT(errors_of(with("\"n_routed_experts\": 256", "\"n_routed_experts\": 250")),
              HasSubstr("config.json:22:3: n_routed_experts: 250 experts do not divide"));
  EXPECT_THAT(errors_of(with("\"n_group\": 8,", "")), HasSubstr("n_group: is missing"));
  EXPECT_THAT(errors_of(with("\"hidden_size\": 7168", "\"hidden_size\": 18446744073709551615")), HasSubstr("hidden_size: must be a whole number"));
}

TEST(HfConfig, BrokenJsonSaysWhere) {
  EXPECT_THAT(errors_of("{\n \"a\": 1,\n \"b\" 2}"), HasSubstr("config.json:3:"));
  EXPECT_THAT(errors_of(""), HasSubstr("config.json:1:1: "));
  EXPECT_THAT(errors_of("[1]"), HasSubstr("is not a JSON object"));
  EXPECT_THAT(errors_of("{\"a\": 1e400}"), HasSubstr("config.json:1:"));
  EXPECT_THAT(errors_of("{\"a\": 1,\n\"a\": 2}"), HasSubstr("config.json:2:1: the key \"a\" is given twice"));
  EXPECT_THAT(errors_of(std::string(100'000, '[')), HasSubstr("more than 32 brackets"));
  EXPECT_THAT(errors_of("{\"\xFF\": 1}"), HasSubstr("config.json:1:"));
}

}  // namespace
}  // namespace fathom::model_spec
