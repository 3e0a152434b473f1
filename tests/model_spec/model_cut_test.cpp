#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_spec/error.h"
#include "model_spec/model.h"

namespace fathom::model_spec {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(std::optional<std::int64_t> layers, std::optional<std::int64_t> experts) {
  try {
    static_cast<void>(cut(find_model("deepseek-v3.2"), layers, experts));
    return {};
  } catch (const Error& e) { return e.failure() == Failure::usage ? e.what() : "not a usage error"; }
}

TEST(Cut, KeepsTheFirstLayersAndTheirKinds) {
  const auto m = cut(find_model("deepseek-v3.2"), 5, 16);  // 3 dense layers, then MoE
  EXPECT_THAT(layer_runs(m), ElementsAre(LayerRun{0, 3, Attention::mla_sparse, Ffn::dense}, LayerRun{3, 2, Attention::mla_sparse, Ffn::moe}));
  EXPECT_EQ(m.n_routed_experts, 16);
  EXPECT_EQ(mtp_layer(m).first, 5);
  EXPECT_THAT(layer_runs(cut(m, 2, {})), ElementsAre(LayerRun{0, 2, Attention::mla_sparse, Ffn::dense}));
}

TEST(Cut, OfNothingIsTheSame) {
  const auto m = find_model("deepseek-v3.2");
  EXPECT_EQ(layer_runs(cut(m, {}, {})), layer_runs(m));
  EXPECT_EQ(layer_runs(cut(m, num_hidden_layers(m), m.n_routed_experts)), layer_runs(m));
}

TEST(Cut, WithoutSparseLayersThereIsNoIndexer) {
  auto m = find_model("deepseek-v3.2");
  m.layers = {{.repeat = 2, .attention = Attention::mla, .ffn = Ffn::dense, .layers = {}},
              {.repeat = 2, .attention = Attention::mla_sparse, .ffn = Ffn::moe, .layers = {}}};
  EXPECT_TRUE(cut(m, 3, {}).indexer);
  EXPECT_FALSE(cut(m, 2, {}).indexer);
}

TEST(Cut, SaysWhatCannotBeKept) {
  EXPECT_THAT(refusal(0, {}), HasSubstr("layers: 0 of the 61"));
  EXPECT_THAT(refusal(62, {}), HasSubstr("layers: 62"));
  EXPECT_THAT(refusal({}, 257), HasSubstr("experts: 257 of the 256"));
  EXPECT_THAT(refusal({}, 20), HasSubstr("20 experts do not divide into n_group = 8 groups"));
  EXPECT_THAT(refusal({}, 8), HasSubstr("at least 2 experts"));
  EXPECT_EQ(refusal({}, 16), "");
}

}  // namespace
}  // namespace fathom::model_spec
