// The sums of the published checkpoints: Hugging Face's metadata of DeepSeek-V3 and DeepSeek-V3.2, and what follows from the tensors.
#include "model_spec/tensors.h"

#include <gtest/gtest.h>

namespace fathom::model_spec {
namespace {

struct Model {
  ModelSpec spec;
  TensorTable table;
  explicit Model(const std::string& name) : spec(find_model(name)), table(tensor_table(spec)) {}
  [[nodiscard]] TensorTotals sum(Scope scope) const { return totals(spec, table, scope); }
};

TEST(Tensors, V32SumsAreThoseOfTheCheckpoint) {
  const Model m("deepseek-v3.2");
  EXPECT_EQ(m.sum(Scope::main_model).parameters, 671'877'944'064);
  EXPECT_EQ(m.sum(Scope::checkpoint).parameters, 685'355'329'792);
  EXPECT_EQ(m.sum(Scope::checkpoint).parameters + m.sum(Scope::checkpoint).scales, 685'396'921'376);
  EXPECT_EQ(m.sum(Scope::checkpoint).tensors, 92'425);
  EXPECT_EQ(m.sum(Scope::checkpoint).bytes, 689'469'018'240);
  EXPECT_EQ(m.sum(Scope::main_model).bytes, 674'030'368'448);
  EXPECT_EQ(m.sum(Scope::mtp).parameters, 13'477'385'728);
}

TEST(Tensors, V3SumsAreThoseOfTheCheckpoint) {
  for (const char* name : {"deepseek-v3", "deepseek-v3.1-terminus"}) {
    const Model m(name);
    EXPECT_EQ(m.sum(Scope::main_model).parameters, 671'026'419'200) << name;
    EXPECT_EQ(m.sum(Scope::checkpoint).parameters, 684'489'845'504) << name;
    EXPECT_EQ(m.sum(Scope::checkpoint).tensors, 91'991) << name;
    EXPECT_EQ(m.sum(Scope::checkpoint).bytes, 688'574'839'360) << name;
    EXPECT_EQ(m.sum(Scope::main_model).bytes, 673'150'611'808) << name;
    EXPECT_EQ(m.sum(Scope::mtp).parameters, 13'463'426'304) << name;
  }
}

TEST(Tensors, V3ElementsByTypeAreThoseOfTheMetadata) {
  const Model m("deepseek-v3");
  std::int64_t bf16 = 0, fp8 = 0, fp32 = m.sum(Scope::checkpoint).scales;
  for (const auto& t : m.table) {
    std::int64_t layers = t.layers.empty() ? 1 : 0;
    for (const auto& range : t.layers) layers += range.count;
    const auto n = t.parameters() * layers * t.experts;
    (t.storage == DType::bf16 ? bf16 : t.storage == DType::fp8_block ? fp8 : fp32) += n;
  }
  EXPECT_EQ(bf16, 3'918'786'560);
  EXPECT_EQ(fp8, 680'571'043'840);
  EXPECT_EQ(fp32, 41'555'600);
}

std::int64_t part_of_layer(const Model& m, Part part) {
  std::int64_t sum = 0;
  for (const auto& t : m.table)
    if (t.part == part && !t.layers.empty() && t.id != Weight::mtp_eh_proj) sum += t.parameters() * t.experts;
  return sum;
}

TEST(Tensors, LayersAndPartsOfV32) {
  const Model m("deepseek-v3.2");
  EXPECT_EQ(part_of_layer(m, Part::indexer), 13'959'424);
  EXPECT_EQ(part_of_layer(m, Part::attention), 187'107'328);
  EXPECT_EQ(layer_totals(m.table, 0).parameters, 597'442'816);
  EXPECT_EQ(layer_totals(m.table, 3).parameters, 11'521'245'696);
  EXPECT_EQ(layer_totals(m.table, 60).parameters, 11'521'245'696);
  const Model v3("deepseek-v3");
  EXPECT_EQ(layer_totals(v3.table, 2).parameters, 583'483'392);
  EXPECT_EQ(layer_totals(v3.table, 3).parameters, 11'507'286'272);
  // MTP without the copies of embedding and head
  EXPECT_EQ(m.sum(Scope::mtp).parameters - 2 * 926'679'040, 11'624'027'648);
  EXPECT_EQ(v3.sum(Scope::mtp).parameters - 2 * 926'679'040, 11'610'068'224);
}

TEST(Tensors, BytesOfPartsOfV32) {
  const Model m("deepseek-v3.2");
  const auto bytes = [&](Weight id) { return totals_of(*find(m.table, id)).bytes; };
  EXPECT_EQ(bytes(Weight::expert_gate) + bytes(Weight::expert_up) + bytes(Weight::expert_down), 44'050'944);
  EXPECT_EQ((bytes(Weight::expert_gate) + bytes(Weight::expert_up) + bytes(Weight::expert_down)) * 256 * 58, 654'068'416'512);
  EXPECT_EQ(bytes(Weight::router) + bytes(Weight::router_bias), 3'671'040);
  EXPECT_EQ(bytes(Weight::ffn_gate) + bytes(Weight::ffn_up) + bytes(Weight::ffn_down), 396'458'496);
  EXPECT_EQ(bytes(Weight::embed_tokens) + bytes(Weight::lm_head), 3'706'716'160);
  EXPECT_EQ(find(m.table, Weight::kv_a_proj)->rows, 576);
  EXPECT_EQ(totals_of(*find(m.table, Weight::kv_a_proj)).scales, 5 * 56);  // the last row of blocks is half a block
}

TEST(Tensors, ActiveParameters) {
  const Model v32("deepseek-v3.2"), v3("deepseek-v3");
  EXPECT_EQ(active_parameters(v32.spec, v32.table, false, false), 36'550'464'256);
  EXPECT_EQ(active_parameters(v32.spec, v32.table, true, false), 37'477'143'296);
  EXPECT_EQ(active_parameters(v32.spec, v32.table, true, true), 38'403'822'336);
  EXPECT_EQ(active_parameters(v3.spec, v3.table, false, false), 35'698'939'392);
  EXPECT_EQ(active_parameters(v3.spec, v3.table, true, false), 36'625'618'432);
  EXPECT_EQ(active_parameters(v3.spec, v3.table, true, true), 37'552'297'472);
}

TEST(Tensors, NormsAreStoredAsTheEmbedding) {
  auto spec = find_model("deepseek-v3.2");
  for (const auto type : {DType::bf16, DType::fp32}) {
    spec.storage.embedding = type;
    for (const auto& t : tensor_table(spec)) EXPECT_EQ(t.part == Part::norms ? t.storage : type, type) << t.name;
  }
  spec.storage.embedding = DType::bf16;
  for (const auto id : {Weight::index_k_norm_weight, Weight::index_k_norm_bias, Weight::router_bias})  // fp32 whatever the rest
    EXPECT_EQ(find(tensor_table(spec), id)->storage, DType::fp32);
}

TEST(Tensors, QuantisedStorage) {
  auto spec = find_model("deepseek-v3");
  spec.storage.routed_experts = DType::int4_group;
  const auto table = tensor_table(spec);
  const auto* gate = find(table, Weight::expert_gate);
  EXPECT_EQ(totals_of(*gate).bytes, 2048 * 7168 / 2 + 2 * 2048 * 56);
}

}  // namespace
}  // namespace fathom::model_spec
