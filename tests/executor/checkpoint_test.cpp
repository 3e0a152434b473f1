#include "executor/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>

#include "executor/synthetic.h"
#include "model_spec/error.h"
#include "tests/executor/temporary_folder.h"

namespace fathom::executor {
namespace {

using model_spec::DType;
using model_spec::Error;
using model_spec::Failure;
using model_spec::ModelSpec;
using model_spec::Tensor;
using model_spec::Weight;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto q_a = "model.layers.0.self_attn.q_a_proj.weight";
constexpr auto q_a_scales = "model.layers.0.self_attn.q_a_proj.weight_scale_inv";
constexpr auto norm = "model.norm.weight";
constexpr std::int64_t no_limit = 1 << 30;

// V3.2 with every size cut down, one dense and one MoE layer and a prediction layer. kv_a has 80 rows, o_proj 300 columns: ragged blocks.
ModelSpec small_model() {
  ModelSpec m = model_spec::find_model("deepseek-v3.2");
  m.vocab_size = 16;
  m.hidden_size = 200;
  m.intermediate_size = 256;
  m.moe_intermediate_size = 128;
  m.num_attention_heads = 5;
  m.q_lora_rank = 130;
  m.kv_lora_rank = 64;
  m.qk_nope_head_dim = m.qk_rope_head_dim = 16;
  m.v_head_dim = 60;
  m.n_routed_experts = 4;
  m.num_experts_per_tok = 2;
  m.n_group = 2;
  m.topk_group = 1;
  m.indexer = model_spec::Indexer{.index_n_heads = 2, .index_head_dim = 32, .index_topk = 4};
  m.layers = {{.repeat = 1, .attention = model_spec::Attention::mla_sparse, .ffn = model_spec::Ffn::dense, .layers = {}},
              {.repeat = 1, .attention = model_spec::Attention::mla_sparse, .ffn = model_spec::Ffn::moe, .layers = {}}};
  return m;
}
const ModelSpec model = small_model();
const model_spec::TensorTable table = tensor_table(model);
const SyntheticWeights synthetic(7);

const Tensor& tensor(Weight id) { return *model_spec::find(table, id); }
Slice whole(const Tensor& t) { return {.rows = t.rows, .columns = t.columns}; }

// All numbers with their scales.
std::vector<float> values(const StoredMatrix& m) {
  std::vector<float> all;
  for (std::int64_t r = 0; r < m.rows; ++r) {
    const auto row = kernels::cpu::load_row<float>(m.type, m.view(), r, m.columns);
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

std::string error_of(const std::function<void()>& action, Failure expected = Failure::bad_file) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), expected) << e.what();
    return e.what();
  }
  return "";
}

using Tensors = std::map<std::string, NamedTensor>;

// Every tensor of a sound checkpoint in memory, to be spoilt.
Tensors sound() {
  const TemporaryFolder folder;
  write_checkpoint(folder / "c", model, synthetic, no_limit);
  const auto file = SafetensorsFile::open(folder / "c/model-00001-of-00001.safetensors");
  Tensors all;
  for (const auto& [name, entry] : file.header().tensors) {
    const auto bytes = file.bytes(entry);
    all[name] = {.name = name, .type = entry.type, .shape = entry.shape, .data = {bytes.begin(), bytes.end()}};
  }
  return all;
}

void write_file(const std::filesystem::path& path, const Tensors& tensors) {
  std::vector<NamedTensor> list;
  for (const auto& [name, t] : tensors) list.push_back(t);
  write_safetensors(path, list);
}

// A checkpoint of one file without an index.
struct Single {
  TemporaryFolder folder;
  Checkpoint checkpoint;
  explicit Single(const Tensors& tensors) : checkpoint(make(folder, tensors)) {}
  static Checkpoint make(const TemporaryFolder& folder, const Tensors& tensors) {
    write_bytes(folder / "config.json", write_hf_config(model));
    write_file(folder / "model.safetensors", tensors);
    return Checkpoint::open(folder.path());
  }
  [[nodiscard]] std::string load_error(Weight id, std::int64_t layer = -1) const {
    return error_of([&] { static_cast<void>(checkpoint.load(tensor(id), layer, -1, whole(tensor(id)))); });
  }
};

void set_float(NamedTensor& t, std::size_t index, float value) { std::memcpy(t.data.data() + index * sizeof(value), &value, sizeof(value)); }

TEST(Checkpoint, WhatIsWrittenReadsBack) {
  const TemporaryFolder folder;
  write_checkpoint(folder / "c", model, synthetic, 100'000);
  const auto checkpoint = Checkpoint::open(folder / "c");
  EXPECT_EQ(write_hf_config(checkpoint.model()), write_hf_config(model));
  std::size_t tensors = 0;
  for (const Tensor& t : table) {
    const std::int64_t layer = t.layers.empty() ? -1 : t.layers.back().first, expert = t.experts > 1 ? 3 : -1;
    const auto read = checkpoint.load(t, layer, expert, whole(t)), expected = synthetic.load(t, layer, expert, whole(t));
    EXPECT_EQ(read.type, expected.type) << t.name;
    EXPECT_EQ(values(read), values(expected)) << t.name;
    for (const auto& range : t.layers) tensors += static_cast<std::size_t>(range.count * t.experts * (model_spec::has_scales(t.storage) ? 2 : 1));
    tensors += t.layers.empty();
  }
  EXPECT_EQ(checkpoint.names().size(), tensors);
  const auto inspection = inspect(checkpoint);
  EXPECT_THAT(inspection.missing, IsEmpty());
  EXPECT_THAT(inspection.extra, IsEmpty());
  EXPECT_THAT(inspection.mismatched, IsEmpty());
  EXPECT_EQ(inspection.bytes, totals(model, table, model_spec::Scope::checkpoint).bytes);
}

TEST(Checkpoint, ShardsKeepToTheirSizeAndTheIndexCountsTheBytes) {
  const TemporaryFolder folder;
  constexpr std::int64_t most = 200'000;
  write_checkpoint(folder / "c", model, synthetic, most);
  int shards = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder / "c")) {
    const std::string name = file.path().filename().string();
    if (name == "config.json" || name == "model.safetensors.index.json") continue;
    EXPECT_THAT(name, ::testing::MatchesRegex("model-000..-of-000..\\.safetensors"));
    const auto shard = SafetensorsFile::open(file.path());
    EXPECT_LE(static_cast<std::int64_t>(file_size(file.path()) - shard.header().data_begin), most);
    ++shards;
  }
  EXPECT_GT(shards, 3);
  const auto bytes = totals(model, table, model_spec::Scope::checkpoint).bytes;
  EXPECT_THAT(read_bytes(folder / "c/model.safetensors.index.json"), HasSubstr("\"total_size\": " + std::to_string(bytes)));
}

TEST(Checkpoint, ATensorAboveTheSizeOfAShardHasOneOfItsOwn) {
  const TemporaryFolder folder;
  write_checkpoint(folder / "c/", model, synthetic, 1);
  EXPECT_THAT(inspect(Checkpoint::open(folder / "c")).missing, IsEmpty());
}

TEST(Checkpoint, RowsStayMappedAndColumnsAreCopied) {
  const TemporaryFolder folder;
  write_checkpoint(folder / "c", model, synthetic, no_limit);
  StoredMatrix rows, columns, corner, vector;
  const Tensor &q_b = tensor(Weight::q_b_proj), &o = tensor(Weight::o_proj), &enorm = tensor(Weight::mtp_enorm);  // [160, 130], [200, 300], [200]
  {
    const auto checkpoint = Checkpoint::open(folder / "c");
    rows = checkpoint.load(q_b, 1, -1, {.first_row = 128, .rows = 32, .columns = 130});
    columns = checkpoint.load(o, 1, -1, {.rows = 200, .first_column = 128, .columns = 128});
    corner = checkpoint.load(o, 1, -1, {.first_row = 128, .rows = 72, .first_column = 256, .columns = 44});
    vector = checkpoint.load(enorm, 2, -1, {.first_row = 3, .rows = 2, .columns = 1});
    const auto found = checkpoint.find("model.layers.1.self_attn.q_b_proj.weight");
    EXPECT_EQ(rows.data, found.file->bytes(*found.entry).data() + 128 * 130);
  }  // the matrices keep the mapping
  const auto full_rows = values(synthetic.load(q_b, 1, -1, whole(q_b))), full_columns = values(synthetic.load(o, 1, -1, whole(o)));
  EXPECT_EQ(values(rows), std::vector<float>(full_rows.begin() + 128 * 130, full_rows.end()));
  std::vector<float> expected, expected_corner;
  for (int r = 0; r < 200; ++r) expected.insert(expected.end(), full_columns.begin() + r * 300 + 128, full_columns.begin() + r * 300 + 256);
  for (int r = 128; r < 200; ++r) expected_corner.insert(expected_corner.end(), full_columns.begin() + r * 300 + 256, full_columns.begin() + r * 300 + 300);
  EXPECT_EQ(values(columns), expected);
  EXPECT_EQ(values(corner), expected_corner);
  EXPECT_EQ(vector.rows, 2);
  EXPECT_EQ(values(vector), values(synthetic.load(enorm, 2, -1, {.first_row = 3, .rows = 2, .columns = 1})));
}

TEST(Checkpoint, ScalesMayStandInAnotherShard) {
  const TemporaryFolder folder;
  Tensors all = sound(), scales;
  scales[q_a_scales] = all.at(q_a_scales);
  all.erase(q_a_scales);
  write_bytes(folder / "config.json", write_hf_config(model));
  write_file(folder / "a", all);
  write_file(folder / "b", scales);
  write_bytes(folder / "model.safetensors.index.json", "{\"weight_map\": {\"" + std::string(q_a) + "\": \"a\", \"" + q_a_scales + "\": \"b\"}}");
  const Tensor& t = tensor(Weight::q_a_proj);
  const auto m = Checkpoint::open(folder.path()).load(t, 0, -1, whole(t));
  EXPECT_EQ(values(m), values(synthetic.load(t, 0, -1, whole(t))));
}

TEST(Checkpoint, UnquantisedMatricesComeAsTheyAreStored) {
  Tensors all = sound();
  NamedTensor& bias = all.at("model.layers.1.mlp.gate.e_score_correction_bias");  // fp32 in the table
  bias = {.name = bias.name, .type = FileType::bf16, .shape = {4}, .data = std::vector<std::byte>(8)};
  const Single single(all);
  EXPECT_EQ(single.checkpoint.load(tensor(Weight::router_bias), 1, -1, {.rows = 4, .columns = 1}).type, DType::bf16);
  EXPECT_THAT(inspect(single.checkpoint).mismatched, IsEmpty());
}

TEST(Checkpoint, APredictionLayerMayShareEmbeddingAndHead) {
  Tensors all = sound();
  all.erase("model.layers.2.embed_tokens.weight");
  all.erase("model.layers.2.shared_head.head.weight");
  const Single single(all);
  for (const auto& [id, own] : {std::pair(Weight::mtp_embed_tokens, Weight::embed_tokens), std::pair(Weight::mtp_lm_head, Weight::lm_head)}) {
    const Slice s{.first_row = 8, .rows = 8, .columns = 200};
    EXPECT_EQ(values(single.checkpoint.load(tensor(id), 2, -1, s)), values(synthetic.load(tensor(own), -1, -1, s)));
  }
  EXPECT_THAT(inspect(single.checkpoint).missing, IsEmpty());
}

TEST(Checkpoint, MissingTensorsAreNamed) {
  Tensors all = sound();
  all.erase(norm);
  all.erase(q_a_scales);
  all["more"] = {.name = "more", .type = FileType::i64, .shape = {0}, .data = {}};
  const Single single(all);
  const std::string folder = single.folder.path().string();
  EXPECT_EQ(single.load_error(Weight::final_norm), folder + ": model.norm.weight: is missing");
  EXPECT_EQ(single.load_error(Weight::q_a_proj, 0), folder + ": " + q_a_scales + ": is missing");
  const auto inspection = inspect(single.checkpoint);
  EXPECT_THAT(inspection.missing, ElementsAre(norm, q_a_scales));
  EXPECT_THAT(inspection.extra, ElementsAre("more"));
  EXPECT_THAT(inspection.mismatched, IsEmpty());
}

TEST(Checkpoint, TypesAndShapesThatAreNotTheModelsAreNamed) {
  Tensors all = sound();
  all.at(norm).shape = {2, 100};
  all.at(q_a).type = FileType::u8;
  all.at("model.layers.1.self_attn.q_a_proj.weight_scale_inv").shape = {1, 4};
  NamedTensor& f16 = all.at("lm_head.weight");
  f16.type = FileType::f16;
  const Single single(all);
  const std::string file = (single.folder / "model.safetensors").string() + ": ";
  EXPECT_EQ(single.load_error(Weight::final_norm), file + "model.norm.weight: has shape [2, 100], the model has [200]");
  EXPECT_EQ(single.load_error(Weight::q_a_proj, 0), file + q_a + ": is stored as U8, the model has F8_E4M3 with scales");
  EXPECT_EQ(single.load_error(Weight::q_a_proj, 1), file + "model.layers.1.self_attn.q_a_proj.weight: its scales have shape [1, 4], the model has [2, 2]");
  EXPECT_EQ(single.load_error(Weight::lm_head), file + "lm_head.weight: is stored as F16, the model has BF16 or F32");
  EXPECT_EQ(inspect(single.checkpoint).mismatched.size(), 4u);
  EXPECT_THAT(inspect(single.checkpoint).mismatched, ::testing::Contains("model.norm.weight: has shape [2, 100], the model has [200]"));

  Tensor packed = tensor(Weight::q_a_proj);
  packed.storage = DType::int4_group;
  EXPECT_THAT(error_of([&] { static_cast<void>(single.checkpoint.load(packed, 0, -1, whole(packed))); }),
              HasSubstr("int4_group is not a type that this layout of checkpoints stores"));
}

TEST(Checkpoint, NumbersThatAreNotFiniteAreErrors) {
  Tensors all = sound();
  all.at(norm).data[2 * 17 + 1] = std::byte{0x7f};  // bf16 0x7f80 and above
  all.at(norm).data[2 * 17] = std::byte{0x80};
  all.at(q_a).data[200 * 129 + 5] = std::byte{0xff};  // e4m3
  set_float(all.at("model.layers.1.mlp.gate.e_score_correction_bias"), 3, -std::numeric_limits<float>::infinity());
  const Single single(all);
  EXPECT_THAT(single.load_error(Weight::final_norm), HasSubstr("model.norm.weight: holds a NaN or an infinity in row 17"));
  EXPECT_THAT(single.load_error(Weight::q_a_proj, 0), HasSubstr("q_a_proj.weight: holds a NaN or an infinity in row 129"));
  EXPECT_THAT(single.load_error(Weight::router_bias, 1), HasSubstr("e_score_correction_bias: holds a NaN or an infinity in row 3"));
  const Tensor& t = tensor(Weight::q_a_proj);  // [130, 200]
  const auto load = [&](const Slice& s) { return error_of([&] { static_cast<void>(single.checkpoint.load(t, 0, -1, s)); }); };
  EXPECT_EQ(load({.rows = 128, .columns = 200}), "");
  EXPECT_EQ(load({.rows = 130, .first_column = 128, .columns = 72}), "");
  EXPECT_THAT(load({.first_row = 128, .rows = 2, .columns = 128}), HasSubstr("in row 129"));
}

TEST(Checkpoint, ScalesAreFiniteAndAboveZero) {
  for (const float bad : {0.0f, -1.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Tensors all = sound();
    set_float(all.at(q_a_scales), 3, bad);  // [2, 2]
    const Single single(all);
    EXPECT_THAT(single.load_error(Weight::q_a_proj, 0), HasSubstr(std::string(q_a_scales) + ": the scale [1, 1] is ")) << bad;
    EXPECT_EQ(single.load_error(Weight::q_a_proj, 1), "");
  }
}

class BrokenIndex : public ::testing::Test {
 protected:
  BrokenIndex() {
    write_bytes(folder_ / "config.json", write_hf_config(model));
    const NamedTensor t{.name = "a", .type = FileType::u8, .shape = {1}, .data = std::vector<std::byte>(1)};
    write_file(folder_ / "one", {{"a", t}});
    write_file(folder_ / "two", {{"a", t}});
  }
  std::string error(const std::string& index, Failure expected = Failure::bad_file) {
    write_bytes(folder_ / "model.safetensors.index.json", index);
    return error_of([&] { Checkpoint::open(folder_.path()); }, expected);
  }
  TemporaryFolder folder_;
};

TEST_F(BrokenIndex, IsRefused) {
  EXPECT_EQ(error(R"({"weight_map": {"a": "one"}})"), "");
  EXPECT_THAT(error("[]"), HasSubstr("model.safetensors.index.json: must be an object"));
  EXPECT_THAT(error("{"), HasSubstr("model.safetensors.index.json: parse error"));
  EXPECT_THAT(error("{}"), HasSubstr("index.json: weight_map: is missing"));
  EXPECT_THAT(error(R"({"weight_map": []})"), HasSubstr("weight_map: must be an object"));
  EXPECT_THAT(error(R"({"weight_map": {"a": "one", "a": "two"}})"), HasSubstr("the key \"a\" is given twice"));
}

TEST_F(BrokenIndex, ShardsAreFilesOfTheFolder) {
  for (const auto shard : {R"("../one")", R"("/etc/passwd")", R"("./one")", R"("")", R"(".")", R"("..")", R"("one\u0000")", R"("on\ne")", "1"})
    EXPECT_THAT(error(std::string("{\"weight_map\": {\"a\": ") + shard + "}}"), HasSubstr("index.json: a: must name a file of this folder")) << shard;
  EXPECT_THAT(error(R"({"weight_map": {"a": "three"}})", Failure::io), HasSubstr("/three: No such file"));
}

TEST_F(BrokenIndex, TensorsStandWhereItSays) {
  EXPECT_THAT(error(R"({"weight_map": {"a": "one", "b": "one"}})"), HasSubstr("/one: b: is missing, but the index names it here"));
  EXPECT_THAT(error(R"({"weight_map": {"a": "one", "b": "two"}})"), AllOf(HasSubstr("/two: a: stands in "), HasSubstr("/one too")));
}

TEST(Checkpoint, AShardMayHoldMoreThanTheIndexNames) {
  const TemporaryFolder folder;
  write_bytes(folder / "config.json", write_hf_config(model));
  write_file(folder / "one", sound());
  write_bytes(folder / "model.safetensors.index.json", R"({"weight_map": {"lm_head.weight": "one"}})");
  EXPECT_THAT(inspect(Checkpoint::open(folder.path())).missing, IsEmpty());
}

TEST(Checkpoint, AFolderWithoutOneIsRefused) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { Checkpoint::open(folder.path()); }, Failure::io), HasSubstr("config.json"));
  write_bytes(folder / "config.json", write_hf_config(model));
  EXPECT_THAT(error_of([&] { Checkpoint::open(folder.path()); }, Failure::io), HasSubstr("model.safetensors: No such file"));
}

// Fails at the embedding of the prediction layer.
struct FailingWeights : WeightSource {
  [[nodiscard]] StoredMatrix load(const Tensor& t, std::int64_t layer, std::int64_t expert, const Slice& s) const override {
    if (t.id == Weight::mtp_embed_tokens) throw Error(Failure::io, "the source failed");
    return synthetic.load(t, layer, expert, s);
  }
};

TEST(WriteCheckpoint, AFailureLeavesNothing) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { write_checkpoint(folder / "c", model, FailingWeights(), 100'000); }, Failure::io), "the source failed");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  ModelSpec mixed = model;
  mixed.storage.indexer = DType::bf16;
  EXPECT_THAT(error_of([&] { write_checkpoint(folder / "c", mixed, synthetic, no_limit); }, Failure::usage), HasSubstr("storage.indexer"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_THAT(error_of([&] { write_checkpoint(folder / "no/c", model, synthetic, no_limit); }, Failure::io), HasSubstr("no/c.tmp: No such file"));
}

TEST(WriteCheckpoint, OnlyIntoANewOrEmptyFolder) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "empty");
  write_checkpoint(folder / "empty", model, synthetic, no_limit);
  EXPECT_THAT(error_of([&] { write_checkpoint(folder / "empty", model, synthetic, no_limit); }, Failure::usage), HasSubstr("is not an empty folder"));
  write_bytes(folder / "file", "x");
  EXPECT_NE(error_of([&] { write_checkpoint(folder / "file", model, synthetic, no_limit); }, Failure::usage), "");
  EXPECT_EQ(read_bytes(folder / "file"), "x");
  std::filesystem::create_directory(folder / "other.tmp");  // another run's
  EXPECT_THAT(error_of([&] { write_checkpoint(folder / "other", model, synthetic, no_limit); }, Failure::io), HasSubstr("is in the way"));
  EXPECT_TRUE(exists(folder / "other.tmp"));
}

TEST(WriteCheckpoint, ModelsWithoutQuantisation) {
  const TemporaryFolder folder;
  ModelSpec plain = model;
  plain.storage = {DType::fp32, DType::fp32, DType::fp32, DType::fp32, DType::fp32, DType::fp32};
  write_checkpoint(folder / "c", plain, SyntheticWeights(7, DType::fp32), no_limit);
  const auto inspection = inspect(Checkpoint::open(folder / "c"));
  EXPECT_THAT(inspection.missing, IsEmpty());
  EXPECT_THAT(inspection.extra, IsEmpty());
  EXPECT_THAT(inspection.mismatched, IsEmpty());
}

}  // namespace
}  // namespace fathom::executor
