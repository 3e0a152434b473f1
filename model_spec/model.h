// ModelSpec: a model of the DeepSeek-V3 family in the vendor's own field names (config.json), and its pattern of layers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model_spec/dtype.h"

namespace fathom::model_spec {

enum class Attention : std::uint8_t { mla, mla_sparse };  // mla_sparse: MLA over the top-k keys that the lightning indexer picks (DSA)
enum class Ffn : std::uint8_t { dense, moe };

// One run of equal layers, or a nested pattern that repeats as a whole.
struct LayerPattern {
  std::int64_t repeat = 1;
  Attention attention = Attention::mla;
  Ffn ffn = Ffn::dense;
  std::vector<LayerPattern> layers;  // if not empty, these repeat and the two kinds above mean nothing
};

// The same pattern, flattened: `count` equal layers from layer `first` on.
struct LayerRun {
  std::int64_t first = 0;
  std::int64_t count = 0;
  Attention attention = Attention::mla;
  Ffn ffn = Ffn::dense;
  friend bool operator==(const LayerRun&, const LayerRun&) = default;
};

struct Yarn {
  double factor = 1;
  std::int64_t original_max_position_embeddings = 4096;
  double beta_fast = 32, beta_slow = 1, mscale = 1, mscale_all_dim = 1;
  friend bool operator==(const Yarn&, const Yarn&) = default;
};

struct Indexer {
  std::int64_t index_n_heads = 0, index_head_dim = 0, index_topk = 0;
  friend bool operator==(const Indexer&, const Indexer&) = default;
};

// How the weights of each class are stored. Norms, gate and embeddings are never quantised in this family.
struct Storage {
  DType attention = DType::fp8_block;  // q_a, q_b, kv_a, kv_b, o projections
  DType indexer = DType::fp8_block;    // wq_b, wk (weights_proj stays bf16)
  DType dense_ffn = DType::fp8_block;
  DType shared_experts = DType::fp8_block;
  DType routed_experts = DType::fp8_block;
  DType embedding = DType::bf16;  // embed_tokens, lm_head, eh_proj, gate, weights_proj, norms
  friend bool operator==(const Storage&, const Storage&) = default;
};

struct ModelSpec {
  std::string name;
  std::vector<std::string> aliases;
  std::string model_type;  // deepseek_v3 | deepseek_v32
  std::string source;      // where the numbers come from
  std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, moe_intermediate_size = 0;
  std::int64_t num_attention_heads = 0, q_lora_rank = 0, kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  std::int64_t n_routed_experts = 0, n_shared_experts = 0, num_experts_per_tok = 0, n_group = 1, topk_group = 1;
  double routed_scaling_factor = 1;
  double rope_theta = 10000, rms_norm_eps = 1e-6;
  std::optional<Yarn> rope_scaling;
  std::int64_t max_position_embeddings = 0;
  std::int64_t num_nextn_predict_layers = 0;  // multi-token prediction layers, stored after the last
  std::optional<Indexer> indexer;             // present if and only if a layer is mla_sparse
  std::vector<LayerPattern> layers;
  Storage storage;
};

std::vector<LayerRun> layer_runs(const ModelSpec&);  // neighbours of one kind merged
std::int64_t num_hidden_layers(const ModelSpec&);
constexpr std::int64_t qk_head_dim(const ModelSpec& m) { return m.qk_nope_head_dim + m.qk_rope_head_dim; }
constexpr std::int64_t latent_dim(const ModelSpec& m) { return m.kv_lora_rank + m.qk_rope_head_dim; }
// The attention and FFN of the multi-token prediction layers: as the last layer of the main model.
LayerRun mtp_layer(const ModelSpec&);

// What is inconsistent in a spec (experts not divisible by groups, no layers, ...), each with the key it concerns; empty if sound.
struct SpecProblem {
  std::string key;
  std::string message;
};
std::vector<SpecProblem> check(const ModelSpec&);

// model_cut.cpp. The model made smaller: its first `layers` layers, `experts` routed experts; prediction layers stay. Throws Error{usage} for
// more than there are and for experts that cannot be grouped or chosen as the model does.
ModelSpec cut(ModelSpec, std::optional<std::int64_t> layers, std::optional<std::int64_t> experts);

// model_toml.cpp. Reads the declarative spec; `file` names it in errors. Throws Error{bad_file} with every problem of the file.
ModelSpec read_model_toml(std::string_view text, const std::string& file);
// The spec as TOML in schema order, a comment per key; reads back equal.
std::string write_model_toml(const ModelSpec&);

// hf_config.cpp. The same spec from a Hugging Face config.json (model_type deepseek_v3 or deepseek_v32, layers_block: config keys as
// published). An architecture or a quantisation that is not understood is refused by name. Throws Error{bad_file}.
ModelSpec read_hf_config(std::string_view json, const std::string& file);
// hf_config_write.cpp. A config.json that reads back as the same model but for name, aliases and source, which it has no keys for. Throws
// Error{usage} for a spec that it cannot express: storage that differs between classes, sparse attention in some layers only.
std::string write_hf_config(const ModelSpec&);

// shipped.cpp. Specs compiled into the library, then files in the user's configuration folder, then a path: see find_model.
struct ModelSource {
  std::string name;
  std::vector<std::string> aliases;
  std::string origin;
};  // origin: "built in", or a path
std::vector<ModelSource> list_models();
// By name or alias (case ignored), or a path to a .toml, a config.json or a folder that holds one. Throws Error{usage} with the nearest name,
// or Error{bad_file}.
ModelSpec find_model(const std::string& name_or_path);

}  // namespace fathom::model_spec
