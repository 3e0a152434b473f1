#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_spec/error.h"
#include "model_spec/model.h"

namespace fathom::model_spec {
namespace {

using ::testing::HasSubstr;

// The spec without what a config.json has no keys for, its pattern of layers flat.
std::string essence(ModelSpec m) {
  m.name = "x";
  m.aliases.clear();
  m.source.clear();
  const auto runs = layer_runs(m);
  m.layers.clear();
  for (const auto& run : runs) m.layers.push_back({.repeat = run.count, .attention = run.attention, .ffn = run.ffn, .layers = {}});
  return write_model_toml(m);
}

void expect_reads_back(const ModelSpec& m) { EXPECT_EQ(essence(read_hf_config(write_hf_config(m), "config.json")), essence(m)); }

std::string refusal(const ModelSpec& m) {
  try {
    return write_hf_config(m);
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::usage);
    return e.what();
  }
}

TEST(HfConfigWrite, EveryShippedModelReadsBack) {
  for (const auto& source : list_models()) expect_reads_back(find_model(source.name));
}

TEST(HfConfigWrite, EveryFieldReadsBack) {
  ModelSpec m = find_model("deepseek-v3.2");
  m.num_nextn_predict_layers = 3;
  m.rope_theta = 12345.678901234567;
  m.rms_norm_eps = 1e-7;
  m.routed_scaling_factor = 0.1;
  m.rope_scaling = Yarn{.factor = 7.3, .original_max_position_embeddings = 1234, .beta_fast = 9, .beta_slow = 2, .mscale = 0.7, .mscale_all_dim = 0.7};
  m.indexer = Indexer{.index_n_heads = 3, .index_head_dim = 256, .index_topk = 77};
  expect_reads_back(m);
  m.rope_scaling.reset();
  expect_reads_back(m);
}

TEST(HfConfigWrite, PatternsOfLayers) {
  ModelSpec m = find_model("deepseek-v3");
  const LayerPattern dense{.repeat = 2, .attention = Attention::mla, .ffn = Ffn::dense, .layers = {}},
      moe{.repeat = 3, .attention = Attention::mla, .ffn = Ffn::moe, .layers = {}};
  for (const auto& layers : std::vector<std::vector<LayerPattern>>{{dense}, {moe}, {dense, moe}, {moe, dense}, {{.repeat = 2, .layers = {dense, moe}}}}) {
    m.layers = layers;
    expect_reads_back(m);
  }
  m.layers = {dense, moe};
  EXPECT_THAT(write_hf_config(m), ::testing::Not(HasSubstr("mlp_layer_types")));  // other programs know the older keys
}

TEST(HfConfigWrite, StorageOfOneKind) {
  ModelSpec m = find_model("deepseek-v3");
  for (const DType plain : {DType::bf16, DType::fp32}) {
    for (const DType matrix : {plain, DType::fp8_block}) {
      m.storage = {.attention = matrix, .indexer = matrix, .dense_ffn = matrix, .shared_experts = matrix, .routed_experts = matrix, .embedding = plain};
      expect_reads_back(m);
    }
  }
}

TEST(HfConfigWrite, WhatItCannotSayIsRefusedByName) {
  ModelSpec m = find_model("deepseek-v3.2");
  m.storage.routed_experts = DType::fp4;
  EXPECT_THAT(refusal(m), HasSubstr("storage.routed_experts: must be fp8_block"));
  m.storage.attention = DType::int8;
  EXPECT_THAT(refusal(m), HasSubstr("storage.attention: int8 is none of those"));
  m.storage.embedding = DType::int8;
  EXPECT_THAT(refusal(m), HasSubstr("storage.embedding: "));
  m.layers.front().attention = Attention::mla;
  EXPECT_THAT(refusal(m), HasSubstr("layers: a config.json of deepseek_v32 has mla_sparse attention in every layer"));
}

}  // namespace
}  // namespace fathom::model_spec
