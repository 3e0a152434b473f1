// The keys of a model spec, once: check(), the TOML reader and writer and the config.json reader all go through these tables.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "model_spec/model.h"
#include "model_spec/toml.h"

namespace fathom::model_spec {

enum class Needed : std::uint8_t { always, with_dense, with_moe, optional };

// The limits keep every product of sizes that a layer forms, times the number of layers and 4 bytes, below 2^63; routed experts
// have a limit of their own in check().
struct SizeField {
  std::string_view key;
  std::int64_t ModelSpec::*member;
  std::int64_t most;
  Needed needed;
  std::string_view comment;
};

inline constexpr std::array<SizeField, 17> size_fields{{
    {"vocab_size", &ModelSpec::vocab_size, 1 << 26, Needed::always, "tokens the embedding and the head know"},
    {"hidden_size", &ModelSpec::hidden_size, 1 << 18, Needed::always, "width of the residual stream"},
    {"intermediate_size", &ModelSpec::intermediate_size, 1 << 20, Needed::with_dense, "inner width of a dense FFN"},
    {"moe_intermediate_size", &ModelSpec::moe_intermediate_size, 1 << 20, Needed::with_moe, "inner width of one expert"},
    {"num_attention_heads", &ModelSpec::num_attention_heads, 1 << 12, Needed::always, "query heads; keys and values are one shared latent"},
    {"q_lora_rank", &ModelSpec::q_lora_rank, 1 << 16, Needed::always, "width of the compressed query"},
    {"kv_lora_rank", &ModelSpec::kv_lora_rank, 1 << 16, Needed::always, "width of the compressed keys and values: the cached latent"},
    {"qk_nope_head_dim", &ModelSpec::qk_nope_head_dim, 1 << 12, Needed::always, "width of a head's part without position"},
    {"qk_rope_head_dim", &ModelSpec::qk_rope_head_dim, 1 << 12, Needed::always, "width of a head's rotated part; even"},
    {"v_head_dim", &ModelSpec::v_head_dim, 1 << 12, Needed::always, "width of a head's value"},
    {"n_routed_experts", &ModelSpec::n_routed_experts, 1 << 16, Needed::with_moe, "experts a token may be sent to, per layer"},
    {"n_shared_experts", &ModelSpec::n_shared_experts, 1 << 10, Needed::with_moe, "experts that see every token"},
    {"num_experts_per_tok", &ModelSpec::num_experts_per_tok, 1 << 10, Needed::with_moe, "routed experts per token"},
    {"n_group", &ModelSpec::n_group, 1 << 16, Needed::with_moe, "groups of experts; they divide n_routed_experts"},
    {"topk_group", &ModelSpec::topk_group, 1 << 16, Needed::with_moe, "groups a token's experts may come from"},
    {"max_position_embeddings", &ModelSpec::max_position_embeddings, std::int64_t{1} << 32, Needed::always, "longest context"},
    {"num_nextn_predict_layers", &ModelSpec::num_nextn_predict_layers, 16, Needed::optional, "multi-token prediction layers after the last"},
}};

struct RealField {
  std::string_view key;
  double ModelSpec::*member;
  std::string_view comment;
};
inline constexpr std::array<RealField, 3> real_fields{{
    {"routed_scaling_factor", &ModelSpec::routed_scaling_factor, "multiplies the weights of the routed experts"},
    {"rope_theta", &ModelSpec::rope_theta, "base of the rotary frequencies"},
    {"rms_norm_eps", &ModelSpec::rms_norm_eps, "added to the mean square in the norms"},
}};

struct IndexerField {
  std::string_view key;
  std::int64_t Indexer::*member;
  std::int64_t most;
  std::string_view comment;
};
inline constexpr std::array<IndexerField, 3> indexer_fields{{
    {"index_n_heads", &Indexer::index_n_heads, 1 << 12, "heads of the lightning indexer"},
    {"index_head_dim", &Indexer::index_head_dim, 1 << 12, "width of an indexer head: a power of two above qk_rope_head_dim"},
    {"index_topk", &Indexer::index_topk, std::int64_t{1} << 32, "keys that sparse attention looks at"},
}};

struct YarnField {
  std::string_view key;
  double Yarn::*member;
};
inline constexpr std::array<YarnField, 5> yarn_fields{{
    {"factor", &Yarn::factor},
    {"beta_fast", &Yarn::beta_fast},
    {"beta_slow", &Yarn::beta_slow},
    {"mscale", &Yarn::mscale},
    {"mscale_all_dim", &Yarn::mscale_all_dim},
}};
inline constexpr std::string_view yarn_original_key = "original_max_position_embeddings";

struct StorageField {
  std::string_view key;
  DType Storage::*member;
  std::string_view comment;
};
inline constexpr std::array<StorageField, 6> storage_fields{{
    {"attention", &Storage::attention, "the five MLA projections"},
    {"indexer", &Storage::indexer, "wq_b and wk"},
    {"dense_ffn", &Storage::dense_ffn, ""},
    {"shared_experts", &Storage::shared_experts, ""},
    {"routed_experts", &Storage::routed_experts, ""},
    {"embedding", &Storage::embedding, "also the head, norms, gate, weights_proj and eh_proj: bf16 or fp32"},
}};

// What a config.json may choose and this family does not: the one value that is understood.
struct HfFlag {
  std::string_view key;
  bool understood;
};
inline constexpr HfFlag hf_flags[] = {{"attention_bias", false}, {"mlp_bias", false},       {"tie_word_embeddings", false},
                                      {"norm_topk_prob", true},  {"rope_interleave", true}, {"indexer_rope_interleave", false}};
struct HfChoice {
  std::string_view key, understood;
};
inline constexpr HfChoice hf_choices[] = {{"hidden_act", "silu"}, {"scoring_func", "sigmoid"}, {"topk_method", "noaux_tc"}};
// Of a model_type, as it stands in "architectures".
constexpr std::string_view hf_architecture(std::string_view model_type) {
  return model_type == "deepseek_v32" ? "DeepseekV32ForCausalLM" : "DeepseekV3ForCausalLM";
}

inline constexpr std::int64_t max_layers = 100'000;
inline constexpr std::array<std::string_view, 2> model_types{"deepseek_v3", "deepseek_v32"};
inline constexpr std::array<std::string_view, 2> attention_names{"mla", "mla_sparse"};  // in the order of Attention
inline constexpr std::array<std::string_view, 2> ffn_names{"dense", "moe"};             // in the order of Ffn

// What both readers share (model_toml.cpp).
void read_sizes(TomlReader& in, ModelSpec& m);    // size_fields and real_fields
void read_indexer(TomlReader& in, ModelSpec& m);  // indexer_fields: all of them if there is any
// Adds what check() finds, unless the key has been reported already, or the layers it depends on could not be read.
void report_inconsistencies(TomlReader& in, const ModelSpec& m, const Problems& problems, bool layers_misread);

}  // namespace fathom::model_spec
