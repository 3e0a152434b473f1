#include "model_spec/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "model_spec/embedded.h"
#include "model_spec/error.h"

namespace fathom::model_spec {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

LayerPattern leaf(std::int64_t repeat, Attention attention, Ffn ffn) { return {.repeat = repeat, .attention = attention, .ffn = ffn, .layers = {}}; }

// Keys of the problems that a change to V3.2 brings.
std::vector<std::string> keys_after(const std::function<void(ModelSpec&)>& change) {
  ModelSpec m = find_model("deepseek-v3.2");
  change(m);
  std::vector<std::string> keys;
  for (const auto& p : check(m)) keys.push_back(p.key);
  return keys;
}

TEST(Layers, RunsOfV32) {
  const ModelSpec m = find_model("deepseek-v3.2");
  EXPECT_THAT(layer_runs(m), ElementsAre(LayerRun{.first = 0, .count = 3, .attention = Attention::mla_sparse, .ffn = Ffn::dense},
                                         LayerRun{.first = 3, .count = 58, .attention = Attention::mla_sparse, .ffn = Ffn::moe}));
  EXPECT_EQ(num_hidden_layers(m), 61);
  EXPECT_EQ(mtp_layer(m), (LayerRun{.first = 61, .count = 1, .attention = Attention::mla_sparse, .ffn = Ffn::moe}));
}

TEST(Layers, NestedPatternsAreFlattenedAndNeighboursMerged) {
  ModelSpec m;
  const LayerPattern pair{.repeat = 2, .attention = {}, .ffn = {}, .layers = {leaf(1, Attention::mla, Ffn::moe), leaf(3, Attention::mla_sparse, Ffn::moe)}};
  m.layers = {leaf(2, Attention::mla, Ffn::moe), pair};
  EXPECT_THAT(layer_runs(m), ElementsAre(LayerRun{.first = 0, .count = 3, .attention = Attention::mla, .ffn = Ffn::moe},
                                         LayerRun{.first = 3, .count = 3, .attention = Attention::mla_sparse, .ffn = Ffn::moe},
                                         LayerRun{.first = 6, .count = 1, .attention = Attention::mla, .ffn = Ffn::moe},
                                         LayerRun{.first = 7, .count = 3, .attention = Attention::mla_sparse, .ffn = Ffn::moe}));
  EXPECT_EQ(num_hidden_layers(m), 10);
}

TEST(Check, ShippedModelsAreSound) {
  for (const auto& source : list_models()) EXPECT_THAT(keys_after([&](ModelSpec& m) { m = find_model(source.name); }), IsEmpty()) << source.name;
}

TEST(Check, FindsEveryInconsistency) {
  const auto change = [](auto member, auto value) { return keys_after([=](ModelSpec& m) { m.*member = value; }); };
  EXPECT_THAT(change(&ModelSpec::hidden_size, 0), ElementsAre("hidden_size"));
  EXPECT_THAT(change(&ModelSpec::hidden_size, std::int64_t{1} << 40), Contains("hidden_size"));
  EXPECT_THAT(change(&ModelSpec::vocab_size, -1), ElementsAre("vocab_size"));
  EXPECT_THAT(change(&ModelSpec::n_routed_experts, 250), ElementsAre("n_routed_experts"));
  EXPECT_THAT(change(&ModelSpec::n_group, 256), ElementsAre("n_group", "num_experts_per_tok"));
  EXPECT_THAT(change(&ModelSpec::topk_group, 9), ElementsAre("topk_group"));
  EXPECT_THAT(change(&ModelSpec::num_experts_per_tok, 129), ElementsAre("num_experts_per_tok"));
  EXPECT_THAT(change(&ModelSpec::qk_rope_head_dim, 63), ElementsAre("qk_rope_head_dim"));
  EXPECT_THAT(change(&ModelSpec::moe_intermediate_size, 0), ElementsAre("moe_intermediate_size"));
  EXPECT_THAT(change(&ModelSpec::rope_theta, 0.0), ElementsAre("rope_theta"));
  EXPECT_THAT(change(&ModelSpec::indexer, std::optional<Indexer>()), ElementsAre("index_topk"));
  EXPECT_THAT(change(&ModelSpec::model_type, "kimi_k2"), ElementsAre("model_type"));
  EXPECT_THAT(change(&ModelSpec::model_type, "deepseek_v3"), ElementsAre("model_type"));
  EXPECT_THAT(change(&ModelSpec::layers, std::vector<LayerPattern>()), Contains("layers"));
}

TEST(Check, LooksIntoIndexerYarnAndStorage) {
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.indexer->index_head_dim = 96; }), ElementsAre("index_head_dim"));
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.indexer->index_head_dim = 64; }), ElementsAre("index_head_dim"));
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.rope_scaling->factor = 0.5; }), ElementsAre("rope_scaling.factor"));
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.rope_scaling->mscale = 0.5; }), ElementsAre("rope_scaling.mscale"));
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.rope_scaling->beta_fast = 0.5; }), ElementsAre("rope_scaling.beta_fast"));
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.storage.attention = DType::int32; }), ElementsAre("storage.attention"));
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.storage.embedding = DType::fp4; }), ElementsAre("storage.embedding"));
}

TEST(Check, SizesNeedNotSuitAKindOfLayerThatIsAbsent) {
  EXPECT_THAT(keys_after([](ModelSpec& m) {
                m.layers = {leaf(2, Attention::mla_sparse, Ffn::dense)};
                m.n_routed_experts = m.moe_intermediate_size = m.n_group = 0;
              }),
              IsEmpty());
}

TEST(Check, HugeNumbersDoNotOverflow) {
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.layers[1].repeat = INT64_MAX; }), ElementsAre("layers"));
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.layers[0].repeat = INT64_MIN; }), ElementsAre("layers.0.repeat"));
  EXPECT_THAT(keys_after([](ModelSpec& m) {
                for (int i = 0; i < 20; ++i) m.layers = {{.repeat = 2, .attention = {}, .ffn = {}, .layers = m.layers}};
              }),
              Contains("layers"));
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.n_routed_experts = m.n_shared_experts = m.topk_group = m.n_group = INT64_MAX; }), Contains("topk_group"));
  EXPECT_THAT(keys_after([](ModelSpec& m) { m.layers[1].repeat = 90'000, m.n_routed_experts = 1 << 16, m.moe_intermediate_size = 1 << 20; }),
              ElementsAre("n_routed_experts"));
}

TEST(Shipped, NamesAndAliases) {
  std::vector<std::string> names;
  for (const auto& source : list_models()) names.push_back(source.name);
  EXPECT_THAT(names, ElementsAre("deepseek-v3.1-terminus", "deepseek-v3.2", "deepseek-v3"));
  EXPECT_EQ(find_model("deepseek-ai/DeepSeek-V3.2-Speciale").name, "deepseek-v3.2");
  EXPECT_EQ(find_model("DEEPSEEK-V3.1").name, "deepseek-v3.1-terminus");
  EXPECT_EQ(find_model("deepseek-r1-0528").name, "deepseek-v3");
}

TEST(Shipped, AnUnknownNameIsAUsageErrorWithTheNearest) {
  try {
    find_model("deepsek-v3.2");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::usage);
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'deepseek-v3.2'?"));
  }
}

TEST(Shipped, TheTemplateReads) {
  for (const auto& file : embedded::model_specs()) {
    if (file.name != "template.toml") continue;
    EXPECT_EQ(num_hidden_layers(read_model_toml(file.text, "template.toml")), 25);
  }
}

// A user's folder that lasts for one test.
class UserFolder {
 public:
  UserFolder() : root_(std::filesystem::temp_directory_path() / ("fathom-model-test-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(models());
    if (const char* before = std::getenv("XDG_CONFIG_HOME")) before_ = before;
    ::setenv("XDG_CONFIG_HOME", root_.c_str(), 1);
  }
  ~UserFolder() {
    ::setenv("XDG_CONFIG_HOME", before_.c_str(), 1);
    std::filesystem::remove_all(root_);
  }
  UserFolder(const UserFolder&) = delete;
  UserFolder& operator=(const UserFolder&) = delete;
  [[nodiscard]] std::filesystem::path models() const { return root_ / "fathom" / "models"; }
  void write(const std::filesystem::path& path, std::string_view text) const { std::ofstream(path) << text; }

 private:
  std::filesystem::path root_;
  std::string before_;
};

TEST(Shipped, FilesOfTheUserComeFirst) {
  const UserFolder user;
  ModelSpec mine = find_model("deepseek-v3.2");
  mine.indexer->index_topk = 1024;
  user.write(user.models() / "mine.toml", write_model_toml(mine));
  user.write(user.models() / "broken.toml", "name = 1\n");
  EXPECT_EQ(list_models()[0].name, "broken");
  EXPECT_EQ(list_models()[1].origin, (user.models() / "mine.toml").string());
  EXPECT_EQ(find_model("deepseek-v3.2").indexer->index_topk, 1024);
  EXPECT_THROW(find_model("broken"), Error);
}

TEST(Shipped, FindsPathsAndFolders) {
  const UserFolder user;
  const auto folder = user.models() / "checkpoint";
  std::filesystem::create_directory(folder);
  EXPECT_THROW(find_model(folder.string()), Error);
  user.write(folder / "a.toml", write_model_toml(find_model("deepseek-v3")));
  EXPECT_EQ(find_model(folder.string()).name, "deepseek-v3");
  EXPECT_EQ(find_model((folder / "a.toml").string()).name, "deepseek-v3");
  std::filesystem::copy_file("tests/model_spec/data/config-v32-fp32.json", folder / "config.json");
  EXPECT_EQ(find_model(folder.string()).name, "checkpoint");
  EXPECT_THROW(find_model((folder / "b.toml").string()), Error);
}

}  // namespace
}  // namespace fathom::model_spec
