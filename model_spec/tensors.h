// The one table of weights: checkpoint name, shape, storage, how it is sharded, which layers own it. Parameter counts, memory, the
// checkpoint reader, synthetic weights and the operands of operators all read it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model_spec/layout.h"
#include "model_spec/model.h"

namespace fathom::model_spec {

// Identity of a weight, also its index in a plan's operands.
enum class Weight : std::uint8_t {
  embed_tokens,
  final_norm,
  lm_head,
  input_layernorm,
  post_attention_layernorm,
  q_a_proj,
  q_a_layernorm,
  q_b_proj,
  kv_a_proj,
  kv_a_layernorm,
  kv_b_proj,
  o_proj,
  index_wq_b,
  index_wk,
  index_k_norm_weight,
  index_k_norm_bias,
  index_weights_proj,
  ffn_gate,
  ffn_up,
  ffn_down,
  router,
  router_bias,
  expert_gate,
  expert_up,
  expert_down,
  shared_gate,
  shared_up,
  shared_down,
  mtp_embed_tokens,
  mtp_enorm,
  mtp_hnorm,
  mtp_eh_proj,
  mtp_norm,
  mtp_lm_head,
};
inline constexpr std::size_t weight_count = 34;

// What a weight belongs to in reports of memory and parameters.
enum class Part : std::uint8_t { embedding, head, norms, attention, indexer, dense_ffn, router, shared_experts, routed_experts };
inline constexpr std::size_t part_count = 9;
inline constexpr std::array<std::string_view, part_count> part_names{"embedding", "head",   "norms",          "attention",     "indexer",
                                                                     "dense FFN", "router", "shared experts", "routed experts"};

enum class Shard : std::uint8_t {
  replicated,
  rows_tp,         // output features over tp
  columns_tp,      // input features over tp
  expert_rows,     // experts over ep, their output features over etp
  expert_columns,  // experts over ep, their input features over etp
};

struct Tensor {
  Weight id{};
  std::string name;  // {layer} and {expert} stand for numbers
  Part part{};
  std::int64_t rows = 0, columns = 1;  // [out, in]; vectors have columns = 1
  DType storage = DType::bf16;
  Shard shard = Shard::replicated;
  std::vector<LayerRange> layers;  // ranges of layers that own one; empty: the model owns one
  std::int64_t experts = 1;        // how many per layer
  [[nodiscard]] std::int64_t parameters() const { return rows * columns; }
};

// Tensors of the main model and, under the numbers after its last layer, of the multi-token prediction layers.
using TensorTable = std::vector<Tensor>;
TensorTable tensor_table(const ModelSpec&);
const Tensor* find(const TensorTable&, Weight);

// Sums over a part of the table. bytes: storage with scales, whole (unsharded) tensors.
struct TensorTotals {
  std::int64_t parameters = 0, scales = 0, tensors = 0, bytes = 0;
  TensorTotals& operator+=(const TensorTotals&);
};
enum class Scope : std::uint8_t { checkpoint, main_model, mtp };  // mtp: as stored, with its copies of embedding and head
TensorTotals totals(const ModelSpec&, const TensorTable&, Scope);
TensorTotals totals_of(const Tensor&);                              // one instance with its scales
TensorTotals layer_totals(const TensorTable&, std::int64_t layer);  // everything that layer owns

// Parameters that one token multiplies with in the main model: of the routed experts only the chosen ones count.
std::int64_t active_parameters(const ModelSpec&, const TensorTable&, bool with_head, bool with_embedding);

// Bytes of this tensor (all its experts, one layer) on one rank.
double rank_bytes(const Tensor&, const ModelSpec&, const Layout&);

}  // namespace fathom::model_spec
