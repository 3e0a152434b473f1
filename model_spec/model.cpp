#include "model_spec/model.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "model_spec/model_fields.h"

namespace fathom::model_spec {

namespace {

constexpr int max_pattern_depth = 16;

// Layers of a pattern; stops counting just above max_layers, so nothing overflows.
std::int64_t count_layers(const std::vector<LayerPattern>& patterns, int depth = 0) {
  if (depth > max_pattern_depth) return max_layers + 1;
  std::int64_t total = 0;
  for (const auto& p : patterns) {
    const std::int64_t once = p.layers.empty() ? 1 : count_layers(p.layers, depth + 1);
    total += once * std::clamp<std::int64_t>(p.repeat, 0, max_layers + 1);
    if (total > max_layers) return max_layers + 1;
  }
  return total;
}

void append_runs(std::vector<LayerRun>& runs, const std::vector<LayerPattern>& patterns) {
  for (const auto& p : patterns) {
    if (!p.layers.empty()) {
      for (std::int64_t i = 0; i < p.repeat; ++i) append_runs(runs, p.layers);
    } else if (!runs.empty() && runs.back().attention == p.attention && runs.back().ffn == p.ffn) {
      runs.back().count += p.repeat;
    } else {
      const std::int64_t first = runs.empty() ? 0 : runs.back().first + runs.back().count;
      runs.push_back({.first = first, .count = p.repeat, .attention = p.attention, .ffn = p.ffn});
    }
  }
}

struct Kinds {
  bool sparse = false, dense = false, moe = false;
};

void find_kinds(const std::vector<LayerPattern>& patterns, int depth, Kinds& kinds) {
  if (depth > max_pattern_depth) return;
  for (const auto& p : patterns) {
    find_kinds(p.layers, depth + 1, kinds);
    if (!p.layers.empty()) continue;
    kinds.sparse |= p.attention == Attention::mla_sparse;
    (p.ffn == Ffn::moe ? kinds.moe : kinds.dense) = true;
  }
}

struct Checker {
  const ModelSpec& m;
  Kinds kinds;
  std::vector<SpecProblem> problems;

  void require(bool holds, std::string_view key, std::string message) {
    if (!holds) problems.push_back({std::string(key), std::move(message)});
  }
  // Whether these sizes are sound by themselves; otherwise they have been reported, and their relations mean nothing.
  static bool known(std::initializer_list<std::int64_t> sizes) {
    return std::all_of(sizes.begin(), sizes.end(), [](std::int64_t s) { return s > 0 && s <= 1 << 20; });
  }

  void names() {
    require(!m.name.empty(), "name", "must not be empty");
    require(std::find(model_types.begin(), model_types.end(), m.model_type) != model_types.end(), "model_type", "must be deepseek_v3 or deepseek_v32");
    require(m.model_type != "deepseek_v3" || !kinds.sparse, "model_type", "deepseek_v3 has no sparse attention; deepseek_v32 has");
  }

  void repeats(const std::vector<LayerPattern>& patterns, const std::string& path, int depth) {
    if (depth > max_pattern_depth) return;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      const std::string key = fmt::format("{}.{}", path, i);
      require(patterns[i].repeat >= 1 && patterns[i].repeat <= max_layers, key + ".repeat", fmt::format("must lie between 1 and {}", max_layers));
      repeats(patterns[i].layers, key + ".layers", depth + 1);
    }
  }

  void layers() {
    const std::int64_t count = count_layers(m.layers);
    require(!m.layers.empty(), "layers", "there must be at least one layer");
    require(count <= max_layers, "layers", fmt::format("more than {} layers, or patterns nested more than {} deep", max_layers, max_pattern_depth));
    if (count <= max_layers) repeats(m.layers, "layers", 0);
  }

  bool is_needed(Needed needed) const {
    return needed == Needed::always || (needed == Needed::with_dense && kinds.dense) || (needed == Needed::with_moe && kinds.moe);
  }

  void sizes() {
    for (const auto& f : size_fields) {
      const std::int64_t least = is_needed(f.needed) ? 1 : 0;
      require(m.*f.member >= least && m.*f.member <= f.most, f.key, fmt::format("must lie between {} and {}, not {}", least, f.most, m.*f.member));
    }
    require(m.qk_rope_head_dim % 2 == 0, "qk_rope_head_dim", "must be even: rotary positions turn pairs");
    require(m.routed_scaling_factor > 0 && m.routed_scaling_factor <= 1e6, "routed_scaling_factor", "must be above 0 and at most 1e6");
    require(m.rope_theta > 1 && m.rope_theta <= 1e12, "rope_theta", "must be above 1 and at most 1e12");
    require(m.rms_norm_eps > 0 && m.rms_norm_eps < 1, "rms_norm_eps", "must lie between 0 and 1");
  }

  void experts() {
    if (!kinds.moe) return;
    if (known({m.n_routed_experts, m.n_group})) {
      require(m.n_routed_experts % m.n_group == 0, "n_routed_experts",
              fmt::format("{} experts do not divide into n_group = {} groups", m.n_routed_experts, m.n_group));
      require(m.n_routed_experts / m.n_group >= 2, "n_group", "a group must hold at least 2 experts: it is scored by the best two");
    }
    if (known({m.topk_group, m.n_group})) require(m.topk_group <= m.n_group, "topk_group", fmt::format("must be at most n_group = {}", m.n_group));
    if (known({m.num_experts_per_tok, m.n_routed_experts, m.n_group, m.topk_group})) {
      const std::int64_t eligible = std::min(m.n_routed_experts, m.topk_group * (m.n_routed_experts / m.n_group));
      require(m.num_experts_per_tok <= eligible, "num_experts_per_tok",
              fmt::format("must be at most {}, the experts in the topk_group = {} groups kept", eligible, m.topk_group));
    }
    const double matrices = static_cast<double>(count_layers(m.layers)) * (static_cast<double>(m.n_routed_experts) + static_cast<double>(m.n_shared_experts));
    const double weights = 3 * matrices * static_cast<double>(m.moe_intermediate_size) * static_cast<double>(m.hidden_size);
    require(weights < 0x1p56, "n_routed_experts", "the experts of all layers would hold more than 2^56 weights");
  }

  void indexer() {
    if (!m.indexer) return require(!kinds.sparse, "index_topk", "layers with attention = \"mla_sparse\" need index_n_heads, index_head_dim and index_topk");
    require(kinds.sparse, "index_topk", "an indexer is described, but no layer has attention = \"mla_sparse\"");
    for (const auto& f : indexer_fields) {
      const std::int64_t value = *m.indexer.*f.member;
      require(value >= 1 && value <= f.most, f.key, fmt::format("must lie between 1 and {}, not {}", f.most, value));
    }
    const std::int64_t dim = m.indexer->index_head_dim;
    if (dim <= 0) return;
    require(dim > m.qk_rope_head_dim, "index_head_dim",
            fmt::format("must be above qk_rope_head_dim = {}: its first dimensions are rotated", m.qk_rope_head_dim));
    require(std::has_single_bit(static_cast<std::uint64_t>(dim)), "index_head_dim", "must be a power of two: a Hadamard matrix turns it");
  }

  void yarn() {
    if (!m.rope_scaling) return;
    const Yarn& y = *m.rope_scaling;
    require(y.factor >= 1 && y.factor <= 1e6, "rope_scaling.factor", "must lie between 1 and 1e6");
    require(y.original_max_position_embeddings >= 1 && y.original_max_position_embeddings <= std::int64_t{1} << 32,
            "rope_scaling.original_max_position_embeddings", "must lie between 1 and 2^32");
    require(y.beta_slow > 0 && y.beta_slow <= 1e6, "rope_scaling.beta_slow", "must be above 0 and at most 1e6");
    require(y.beta_fast >= y.beta_slow && y.beta_fast <= 1e6, "rope_scaling.beta_fast", "must be at least beta_slow and at most 1e6");
    require(y.mscale_all_dim >= 0 && y.mscale_all_dim <= 1e3, "rope_scaling.mscale_all_dim", "must lie between 0 and 1000");
    require(y.mscale == y.mscale_all_dim, "rope_scaling.mscale", "must equal mscale_all_dim: rotations that also scale are not understood");
  }

  void storage() {
    for (const auto& f : storage_fields) {
      const DType t = m.storage.*f.member;
      const bool plain = t == DType::bf16 || t == DType::fp32;
      const bool quantised = t == DType::fp8_block || t == DType::int8 || t == DType::int4_group || t == DType::fp4;
      if (f.member == &Storage::embedding) require(plain, "storage.embedding", "must be bf16 or fp32");
      else require(plain || quantised, fmt::format("storage.{}", f.key), fmt::format("weights are not stored as {}", name_of(t)));
    }
  }
};

}  // namespace

std::vector<LayerRun> layer_runs(const ModelSpec& m) {
  std::vector<LayerRun> runs;
  append_runs(runs, m.layers);
  return runs;
}

std::int64_t num_hidden_layers(const ModelSpec& m) { return count_layers(m.layers); }

LayerRun mtp_layer(const ModelSpec& m) {
  const LayerRun last = layer_runs(m).back();
  return {.first = num_hidden_layers(m), .count = m.num_nextn_predict_layers, .attention = last.attention, .ffn = last.ffn};
}

std::vector<SpecProblem> check(const ModelSpec& m) {
  Checker checker{.m = m, .kinds = {}, .problems = {}};
  find_kinds(m.layers, 0, checker.kinds);
  checker.names();
  checker.layers();
  checker.sizes();
  checker.experts();
  checker.indexer();
  checker.yarn();
  checker.storage();
  return std::move(checker.problems);
}

}  // namespace fathom::model_spec
