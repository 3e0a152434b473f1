#include "model_spec/layout.h"

#include <fmt/format.h>

#include <algorithm>

namespace fathom::model_spec {
namespace {

using Reason = std::optional<std::string>;

bool any(const ModelSpec& m, Ffn kind) {
  return std::ranges::any_of(layer_runs(m), [&](const LayerRun& run) { return run.ffn == kind; });
}

// A slice of 1/ways of `size` elements that share scales by 128 must hold whole blocks.
Reason check_slice(const char* what, std::int64_t size, const char* way, std::int64_t ways, DType storage) {
  if (size % ways != 0) return fmt::format("{} = {} is not divisible by {} = {}", what, size, way, ways);
  const auto block = storage == DType::fp8_block || storage == DType::int4_group ? scale_block : storage == DType::fp4 ? fp4_scale_group : 1;
  if (ways > 1 && (size / ways) % block != 0)
    return fmt::format("{} = {} over {} = {} gives slices of {}, which cut a {}-element scale block of {}", what, size, way, ways, size / ways, block,
                       name_of(storage));
  return std::nullopt;
}

Reason check_positive(const Layout& l) {
  const std::pair<const char*, std::int64_t> sizes[] = {
      {"tp", l.tp}, {"dp", l.dp}, {"cp", l.cp}, {"pp", l.pp}, {"etp", l.etp}, {"ep", l.ep}, {"micro_batches", l.micro_batches}};
  for (const auto& [name, value] : sizes)
    if (value < 1 || value > 1'000'000) return fmt::format("{} = {} is not between 1 and 1000000", name, value);
  if (l.redundant_experts < 0 || l.redundant_experts > 1'000'000)
    return fmt::format("redundant_experts = {} is not between 0 and 1000000", l.redundant_experts);
  if (l.cp != 1) return fmt::format("cp = {}: context parallelism is not modelled", l.cp);
  if (gpus(l) > 10'000'000) return fmt::format("{} GPUs are more than any cluster has", gpus(l));
  return std::nullopt;
}

Reason check_attention(const ModelSpec& m, const Layout& l) {
  if (m.num_attention_heads % l.tp != 0) return fmt::format("{} attention heads are not divisible by tp = {}", m.num_attention_heads, l.tp);
  const auto heads = m.num_attention_heads;
  const auto storage = m.storage.attention;
  if (auto r = check_slice("rows of q_b_proj", heads * qk_head_dim(m), "tp", l.tp, storage)) return r;
  if (auto r = check_slice("rows of kv_b_proj", heads * (m.qk_nope_head_dim + m.v_head_dim), "tp", l.tp, storage)) return r;
  if (auto r = check_slice("columns of o_proj", heads * m.v_head_dim, "tp", l.tp, storage)) return r;
  return check_slice("vocab_size", m.vocab_size, "tp", l.tp, m.storage.embedding);
}

Reason check_ffn(const ModelSpec& m, const Layout& l) {
  if (any(m, Ffn::dense))
    if (auto r = check_slice("intermediate_size", m.intermediate_size, "tp", l.tp, m.storage.dense_ffn)) return r;
  if (!any(m, Ffn::moe)) return std::nullopt;
  if (l.tp * l.dp * l.cp != l.etp * l.ep)
    return fmt::format("tp * dp = {} ranks of attention are not the etp * ep = {} ranks of experts", l.tp * l.dp * l.cp, l.etp * l.ep);
  if (m.n_shared_experts > 0)
    if (auto r = check_slice("width of the shared expert", m.moe_intermediate_size * m.n_shared_experts, "tp", l.tp, m.storage.shared_experts)) return r;
  if (auto r = check_slice("moe_intermediate_size", m.moe_intermediate_size, "etp", l.etp, m.storage.routed_experts)) return r;
  if (physical_experts(m, l) % l.ep != 0)
    return l.redundant_experts == 0
               ? fmt::format("{} experts cannot be placed evenly on ep = {}; {} redundant experts would make {}", m.n_routed_experts, l.ep,
                             (l.ep - m.n_routed_experts % l.ep) % l.ep, m.n_routed_experts + (l.ep - m.n_routed_experts % l.ep) % l.ep)
               : fmt::format("{} experts and {} redundant ones cannot be placed evenly on ep = {}", m.n_routed_experts, l.redundant_experts, l.ep);
  return std::nullopt;
}

}  // namespace

std::string label(const Layout& l) { return fmt::format("tp{}pp{}dp{}etp{}ep{}", l.tp, l.pp, l.dp, l.etp, l.ep); }

std::optional<std::string> check(const ModelSpec& m, const Layout& l) {
  if (auto r = check_positive(l)) return r;
  if (auto r = check_attention(m, l)) return r;
  if (auto r = check_ffn(m, l)) return r;
  if (l.pp > num_hidden_layers(m)) return fmt::format("pp = {} stages are more than the {} layers", l.pp, num_hidden_layers(m));
  return std::nullopt;
}

LayerRange stage_layers(const ModelSpec& m, const Layout& l, std::int64_t stage) {
  const auto layers = num_hidden_layers(m);
  const auto base = layers / l.pp, extra = layers % l.pp;
  return {.first = stage * base + std::min(stage, extra), .count = base + (stage < extra ? 1 : 0)};
}

}  // namespace fathom::model_spec
