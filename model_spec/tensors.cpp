#include "model_spec/tensors.h"

#include <algorithm>
#include <functional>

namespace fathom::model_spec {
namespace {

using Ranges = std::vector<LayerRange>;

// Layers of the main model and the prediction layers for which `owns` holds, as ranges.
Ranges ranges(const ModelSpec& m, const std::function<bool(const LayerRun&)>& owns) {
  Ranges result;
  auto runs = layer_runs(m);
  if (m.num_nextn_predict_layers > 0) runs.push_back(mtp_layer(m));
  for (const auto& run : runs) {
    if (!owns(run)) continue;
    if (!result.empty() && result.back().first + result.back().count == run.first) result.back().count += run.count;
    else result.push_back({run.first, run.count});
  }
  return result;
}

class TableBuilder {
 public:
  explicit TableBuilder(const ModelSpec& m) : m_(m) {}

  void top(Weight id, const char* name, Part part, std::int64_t rows, std::int64_t columns, Shard shard) {
    table_.push_back({.id = id, .name = name, .part = part, .rows = rows, .columns = columns, .storage = m_.storage.embedding, .shard = shard, .layers = {}});
  }
  void owner(Ranges layers) { layers_ = std::move(layers); }
  void layer(Weight id, const char* name, Part part, std::int64_t rows, std::int64_t columns, DType storage, Shard shard = Shard::replicated,
             std::int64_t experts = 1) {
    if (layers_.empty()) return;
    table_.push_back({.id = id,
                      .name = std::string("model.layers.{layer}.") + name,
                      .part = part,
                      .rows = rows,
                      .columns = columns,
                      .storage = storage,
                      .shard = shard,
                      .layers = layers_,
                      .experts = experts});
  }
  TensorTable take() { return std::move(table_); }

 private:
  const ModelSpec& m_;
  Ranges layers_;
  TensorTable table_;
};

void add_attention(TableBuilder& b, const ModelSpec& m) {
  const auto s = m.storage.attention;
  const auto heads = m.num_attention_heads;
  b.owner(ranges(m, [](const LayerRun&) { return true; }));
  b.layer(Weight::input_layernorm, "input_layernorm.weight", Part::norms, m.hidden_size, 1, m.storage.embedding);
  b.layer(Weight::post_attention_layernorm, "post_attention_layernorm.weight", Part::norms, m.hidden_size, 1, m.storage.embedding);
  b.layer(Weight::q_a_proj, "self_attn.q_a_proj.weight", Part::attention, m.q_lora_rank, m.hidden_size, s);
  b.layer(Weight::q_a_layernorm, "self_attn.q_a_layernorm.weight", Part::attention, m.q_lora_rank, 1, m.storage.embedding);
  b.layer(Weight::q_b_proj, "self_attn.q_b_proj.weight", Part::attention, heads * qk_head_dim(m), m.q_lora_rank, s, Shard::rows_tp);
  b.layer(Weight::kv_a_proj, "self_attn.kv_a_proj_with_mqa.weight", Part::attention, latent_dim(m), m.hidden_size, s);
  b.layer(Weight::kv_a_layernorm, "self_attn.kv_a_layernorm.weight", Part::attention, m.kv_lora_rank, 1, m.storage.embedding);
  b.layer(Weight::kv_b_proj, "self_attn.kv_b_proj.weight", Part::attention, heads * (m.qk_nope_head_dim + m.v_head_dim), m.kv_lora_rank, s, Shard::rows_tp);
  b.layer(Weight::o_proj, "self_attn.o_proj.weight", Part::attention, m.hidden_size, heads * m.v_head_dim, s, Shard::columns_tp);
}

// Replicated on every tensor-parallel rank: the chosen keys are shared by all heads.
void add_indexer(TableBuilder& b, const ModelSpec& m) {
  if (!m.indexer) return;
  const auto& i = *m.indexer;
  b.owner(ranges(m, [](const LayerRun& run) { return run.attention == Attention::mla_sparse; }));
  b.layer(Weight::index_wq_b, "self_attn.indexer.wq_b.weight", Part::indexer, i.index_n_heads * i.index_head_dim, m.q_lora_rank, m.storage.indexer);
  b.layer(Weight::index_wk, "self_attn.indexer.wk.weight", Part::indexer, i.index_head_dim, m.hidden_size, m.storage.indexer);
  b.layer(Weight::index_k_norm_weight, "self_attn.indexer.k_norm.weight", Part::indexer, i.index_head_dim, 1, DType::fp32);
  b.layer(Weight::index_k_norm_bias, "self_attn.indexer.k_norm.bias", Part::indexer, i.index_head_dim, 1, DType::fp32);
  b.layer(Weight::index_weights_proj, "self_attn.indexer.weights_proj.weight", Part::indexer, i.index_n_heads, m.hidden_size, m.storage.embedding);
}

void add_ffn(TableBuilder& b, const ModelSpec& m) {
  const auto d = m.hidden_size, wide = m.intermediate_size, mid = m.moe_intermediate_size, shared = mid * m.n_shared_experts;
  b.owner(ranges(m, [](const LayerRun& run) { return run.ffn == Ffn::dense; }));
  b.layer(Weight::ffn_gate, "mlp.gate_proj.weight", Part::dense_ffn, wide, d, m.storage.dense_ffn, Shard::rows_tp);
  b.layer(Weight::ffn_up, "mlp.up_proj.weight", Part::dense_ffn, wide, d, m.storage.dense_ffn, Shard::rows_tp);
  b.layer(Weight::ffn_down, "mlp.down_proj.weight", Part::dense_ffn, d, wide, m.storage.dense_ffn, Shard::columns_tp);

  b.owner(ranges(m, [](const LayerRun& run) { return run.ffn == Ffn::moe; }));
  b.layer(Weight::router, "mlp.gate.weight", Part::router, m.n_routed_experts, d, m.storage.embedding);
  b.layer(Weight::router_bias, "mlp.gate.e_score_correction_bias", Part::router, m.n_routed_experts, 1, DType::fp32);
  const auto routed = m.storage.routed_experts;
  b.layer(Weight::expert_gate, "mlp.experts.{expert}.gate_proj.weight", Part::routed_experts, mid, d, routed, Shard::expert_rows, m.n_routed_experts);
  b.layer(Weight::expert_up, "mlp.experts.{expert}.up_proj.weight", Part::routed_experts, mid, d, routed, Shard::expert_rows, m.n_routed_experts);
  b.layer(Weight::expert_down, "mlp.experts.{expert}.down_proj.weight", Part::routed_experts, d, mid, routed, Shard::expert_columns, m.n_routed_experts);
  if (shared == 0) return;
  b.layer(Weight::shared_gate, "mlp.shared_experts.gate_proj.weight", Part::shared_experts, shared, d, m.storage.shared_experts, Shard::rows_tp);
  b.layer(Weight::shared_up, "mlp.shared_experts.up_proj.weight", Part::shared_experts, shared, d, m.storage.shared_experts, Shard::rows_tp);
  b.layer(Weight::shared_down, "mlp.shared_experts.down_proj.weight", Part::shared_experts, d, shared, m.storage.shared_experts, Shard::columns_tp);
}

void add_mtp(TableBuilder& b, const ModelSpec& m) {
  if (m.num_nextn_predict_layers == 0) return;
  const auto d = m.hidden_size;
  b.owner({{num_hidden_layers(m), m.num_nextn_predict_layers}});
  b.layer(Weight::mtp_embed_tokens, "embed_tokens.weight", Part::embedding, m.vocab_size, d, m.storage.embedding, Shard::rows_tp);
  b.layer(Weight::mtp_enorm, "enorm.weight", Part::norms, d, 1, m.storage.embedding);
  b.layer(Weight::mtp_hnorm, "hnorm.weight", Part::norms, d, 1, m.storage.embedding);
  b.layer(Weight::mtp_eh_proj, "eh_proj.weight", Part::attention, d, 2 * d, m.storage.embedding);
  b.layer(Weight::mtp_norm, "shared_head.norm.weight", Part::norms, d, 1, m.storage.embedding);
  b.layer(Weight::mtp_lm_head, "shared_head.head.weight", Part::head, m.vocab_size, d, m.storage.embedding, Shard::rows_tp);
}

TensorTotals times(TensorTotals t, std::int64_t n) { return {t.parameters * n, t.scales * n, t.tensors * n, t.bytes * n}; }

}  // namespace

TensorTable tensor_table(const ModelSpec& m) {
  TableBuilder b(m);
  b.top(Weight::embed_tokens, "model.embed_tokens.weight", Part::embedding, m.vocab_size, m.hidden_size, Shard::rows_tp);
  b.top(Weight::final_norm, "model.norm.weight", Part::norms, m.hidden_size, 1, Shard::replicated);
  b.top(Weight::lm_head, "lm_head.weight", Part::head, m.vocab_size, m.hidden_size, Shard::rows_tp);
  add_attention(b, m);
  add_indexer(b, m);
  add_ffn(b, m);
  add_mtp(b, m);
  return b.take();
}

const Tensor* find(const TensorTable& table, Weight id) {
  const auto it = std::ranges::find(table, id, &Tensor::id);
  return it == table.end() ? nullptr : &*it;
}

TensorTotals& TensorTotals::operator+=(const TensorTotals& o) {
  parameters += o.parameters;
  scales += o.scales;
  tensors += o.tensors;
  bytes += o.bytes;
  return *this;
}

TensorTotals totals_of(const Tensor& t) {
  const auto rows = static_cast<double>(t.rows), columns = static_cast<double>(t.columns);
  const double scale_size = t.storage == DType::int4_group ? 2 : t.storage == DType::fp4 ? 1 : 4;
  return {.parameters = t.parameters(),
          .scales = static_cast<std::int64_t>(scale_bytes(t.storage, rows, columns) / scale_size),
          .tensors = has_scales(t.storage) ? 2 : 1,
          .bytes = static_cast<std::int64_t>(storage_bytes(t.storage, rows, columns))};
}

TensorTotals totals(const ModelSpec& m, const TensorTable& table, Scope scope) {
  const auto main_layers = num_hidden_layers(m);
  TensorTotals sum;
  for (const auto& t : table) {
    if (t.layers.empty() && scope != Scope::mtp) sum += totals_of(t);
    for (const auto& range : t.layers) {
      const auto in_main = std::clamp<std::int64_t>(main_layers - range.first, 0, range.count);
      const auto n = scope == Scope::checkpoint ? range.count : scope == Scope::main_model ? in_main : range.count - in_main;
      sum += times(totals_of(t), n * t.experts);
    }
  }
  return sum;
}

TensorTotals layer_totals(const TensorTable& table, std::int64_t layer) {
  TensorTotals sum;
  for (const auto& t : table)
    for (const auto& range : t.layers)
      if (layer >= range.first && layer < range.first + range.count) sum += times(totals_of(t), t.experts);
  return sum;
}

std::int64_t active_parameters(const ModelSpec& m, const TensorTable& table, bool with_head, bool with_embedding) {
  const auto main_layers = num_hidden_layers(m);
  std::int64_t sum = 0;
  for (const auto& t : table) {
    if (t.layers.empty() && ((t.id == Weight::lm_head && !with_head) || (t.id == Weight::embed_tokens && !with_embedding))) continue;
    if (t.layers.empty()) sum += t.parameters();
    for (const auto& range : t.layers) {
      const auto in_main = std::clamp<std::int64_t>(main_layers - range.first, 0, range.count);
      sum += t.parameters() * in_main * (t.part == Part::routed_experts ? m.num_experts_per_tok : 1);
    }
  }
  return sum;
}

double rank_bytes(const Tensor& t, const ModelSpec& m, const Layout& l) {
  const bool expert = t.shard == Shard::expert_rows || t.shard == Shard::expert_columns;
  const auto ways = t.shard == Shard::replicated ? 1 : expert ? l.etp : l.tp;
  const bool by_rows = t.shard == Shard::rows_tp || t.shard == Shard::expert_rows;
  const auto rows = static_cast<double>(by_rows ? t.rows / ways : t.rows);
  const auto columns = static_cast<double>(by_rows ? t.columns : t.columns / ways);
  const auto copies = static_cast<double>(expert ? local_experts(m, l) : 1);
  return copies * storage_bytes(t.storage, rows, columns);
}

}  // namespace fathom::model_spec
