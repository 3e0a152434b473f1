#include "model_spec/policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "model_spec/ops/pairs.h"

namespace fathom::model_spec {
namespace {

// Multiply-adds of one layer's core attention and the up-projections that only one of the two forms needs.
double mha_macs(const ModelSpec& m, double new_tokens, double cached) {
  const auto heads = static_cast<double>(m.num_attention_heads);
  const auto up = heads * static_cast<double>((m.qk_nope_head_dim + m.v_head_dim) * m.kv_lora_rank);
  return dense_pairs(new_tokens, cached) * heads * static_cast<double>(qk_head_dim(m) + m.v_head_dim) + (new_tokens + cached) * up;
}

double sparse_mqa_macs(const ModelSpec& m, double new_tokens, double cached) {
  const auto heads = static_cast<double>(m.num_attention_heads);
  const auto up = heads * static_cast<double>((m.qk_nope_head_dim + m.v_head_dim) * m.kv_lora_rank);
  const auto pairs = sparse_pairs(new_tokens, cached, static_cast<double>(m.indexer->index_topk));
  return pairs * heads * static_cast<double>(latent_dim(m) + m.kv_lora_rank) + new_tokens * up;
}

bool masked_mha_is_less(const ModelSpec& m, const Group& g) {
  const auto t = static_cast<double>(g.new_tokens), c = static_cast<double>(g.cached_tokens);
  return mha_macs(m, t, c) < sparse_mqa_macs(m, t, c);
}

}  // namespace

std::optional<std::string> check(const ModelSpec& m, const Policy& p) {
  if (p.mtp_depth > 0 && m.num_nextn_predict_layers == 0)
    return fmt::format("nextn = {} drafts a step, but {} has no multi-token prediction layer", p.mtp_depth, m.name);
  return std::nullopt;
}

Path choose_path(const ModelSpec& m, const Policy& p, Attention kind, const Group& g) {
  const bool decode = g.new_tokens <= p.absorb_max_new_tokens;
  const auto context = g.cached_tokens + g.new_tokens;
  if (kind == Attention::mla) return decode || p.prefill_attention == PrefillAttention::mqa ? Path::dense_mqa : Path::dense_mha;
  const auto topk = m.indexer->index_topk;
  const auto limit = decode ? p.dense_decode_max_context : p.dense_prefill_max_context;
  if (context <= (limit < 0 ? topk : std::min(limit, topk))) return decode ? Path::dense_mqa : Path::dense_mha;
  if (decode) return Path::sparse_decode;
  const bool mha = p.prefill_attention == PrefillAttention::automatic ? masked_mha_is_less(m, g) : p.prefill_attention == PrefillAttention::mha;
  return mha ? Path::masked_mha : Path::sparse_prefill;
}

Transport choose_transport(const Policy& p, std::int64_t tokens) {
  if (p.dispatch == DispatchChoice::normal) return Transport::normal;
  if (p.dispatch == DispatchChoice::low_latency) return Transport::low_latency;
  return tokens <= p.low_latency_max_tokens ? Transport::low_latency : Transport::normal;
}

}  // namespace fathom::model_spec
