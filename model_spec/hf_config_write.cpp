// A ModelSpec as a Hugging Face config.json: the keys that hf_config.cpp reads.
#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model_spec/error.h"
#include "model_spec/model.h"
#include "model_spec/model_fields.h"

namespace fathom::model_spec {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(const ModelSpec& m, std::string_view key, std::string_view why) {
  throw Error(Failure::usage, fmt::format("{}: {}: {}", m.name, key, why));
}

void write_layers(Json& out, const ModelSpec& m) {
  const Attention attention = m.model_type == "deepseek_v32" ? Attention::mla_sparse : Attention::mla;
  const auto runs = layer_runs(m);
  if (!std::ranges::all_of(runs, [&](const LayerRun& run) { return run.attention == attention; }))
    refuse(m, "layers", fmt::format("a config.json of {} has {} attention in every layer", m.model_type, attention_names[static_cast<std::size_t>(attention)]));
  const std::int64_t dense = runs.front().ffn == Ffn::dense ? runs.front().count : 0;
  out["num_hidden_layers"] = num_hidden_layers(m);
  out["first_k_dense_replace"] = dense;
  out["moe_layer_freq"] = 1;
  if (runs.size() == 1 || (runs.size() == 2 && dense > 0)) return;
  Json& types = out["mlp_layer_types"];
  for (const auto& run : runs)
    for (std::int64_t i = 0; i < run.count; ++i) types.push_back(run.ffn == Ffn::moe ? "sparse" : "dense");
}

void write_rope(Json& out, const ModelSpec& m) {
  if (!m.rope_scaling) return;
  Json& yarn = out["rope_scaling"];
  yarn["type"] = "yarn";
  for (const auto& f : yarn_fields) yarn[f.key] = *m.rope_scaling.*f.member;
  yarn[yarn_original_key] = m.rope_scaling->original_max_position_embeddings;
}

void write_storage(Json& out, const ModelSpec& m) {
  const DType plain = m.storage.embedding, matrix = m.storage.attention;
  if (plain != DType::bf16 && plain != DType::fp32) refuse(m, "storage.embedding", "a config.json knows bf16 and fp32");
  if (matrix != DType::fp8_block && matrix != plain)
    refuse(m, "storage.attention", fmt::format("{} is none of those a config.json knows: fp8_block, or {} as the embedding", name_of(matrix), name_of(plain)));
  for (const auto& f : storage_fields) {
    if (f.member != &Storage::embedding && m.storage.*f.member != matrix)
      refuse(m, fmt::format("storage.{}", f.key), fmt::format("must be {} as storage.attention: a config.json knows one for all", name_of(matrix)));
  }
  out["torch_dtype"] = plain == DType::bf16 ? "bfloat16" : "float32";
  if (matrix != DType::fp8_block) return;
  out["quantization_config"] = {{"quant_method", "fp8"}, {"fmt", "e4m3"}, {"activation_scheme", "dynamic"}, {"weight_block_size", {scale_block, scale_block}}};
}

}  // namespace

std::string write_hf_config(const ModelSpec& m) {
  Json out;
  out["architectures"] = {hf_architecture(m.model_type)};
  out["model_type"] = m.model_type;
  for (const auto& f : size_fields) out[f.key] = m.*f.member;
  out["num_key_value_heads"] = m.num_attention_heads;
  for (const auto& f : real_fields) out[f.key] = m.*f.member;
  if (m.indexer)
    for (const auto& f : indexer_fields) out[f.key] = *m.indexer.*f.member;
  write_layers(out, m);
  for (const auto& f : hf_flags) out[f.key] = f.understood;
  for (const auto& c : hf_choices) out[c.key] = c.understood;
  write_rope(out, m);
  write_storage(out, m);
  return out.dump(2) + "\n";
}

}  // namespace fathom::model_spec
