#include "model_spec/memory.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace fathom::model_spec {
namespace {

// DeepEP's low-latency exchange: a slot for every (expert, token of a rank) with hidden bf16 values and a bf16 pair per 128 of
// them, once to send and once to receive, both twice (double buffering); csrc/config.hpp at 030cdf0, LowLatencyLayout.
Bytes low_latency_buffers(const Plan& p, const Sizes& z) {
  const auto hidden = static_cast<double>(p.model.hidden_size);
  const auto slots = static_cast<double>(physical_experts(p.model, p.layout) * low_latency_slots(p.policy, z.of(Rows::slice, all_paths)));
  return Bytes{4 * slots * (2 * hidden + 4 * std::floor(hidden / scale_block))};
}

// DeepEP's normal exchange: per channel a ring of slots for each NVLink peer and, both ways, for each node; csrc/config.hpp at 030cdf0
// (hidden bf16 values, 128 expert ids, weights and scales a slot) with 10 channels, 288 and 128 slots: what its buffer.py configures for EP32.
Bytes normal_buffers(const Plan& p) {
  const double channels = 10, peers = 8, slot = 2 * static_cast<double>(p.model.hidden_size) + 128 * (8 + 4 + 4);
  const auto ranks = static_cast<double>(stage_ranks(p.layout));
  const double nodes = ranks > peers ? std::ceil(ranks / peers) : 0;
  return Bytes{channels * slot * (std::min(ranks, peers) * 288 + nodes * 128 * 2)};
}

double activation_bytes(const Activation& a, const Sizes& z) {
  // Low latency fixes its rows beforehand; otherwise counts are known before rows are allocated, and the expectation is what they take.
  const bool fixed = z.transport == Transport::low_latency && z.load.capacity > 0;
  const auto rows = a.rows != Rows::routed ? static_cast<double>(z.of(a.rows, a.paths)) : fixed ? static_cast<double>(z.load.capacity) : z.load.rows;
  return storage_bytes(a.type, rows, static_cast<double>(a.columns));
}

// An activation lives from its first use to its last: its bytes come at the one step and go after the other.
double peak_activations(const Block& block, const Sizes& z) {
  std::array<double, 256> change{};  // a block has far fewer steps
  assert(block.steps.size() < change.size());
  for (const auto& a : block.activations) {
    const double bytes = activation_bytes(a, z);
    change[a.persists ? 0 : a.first_use] += bytes;
    change[a.persists ? block.steps.size() : a.last_use + 1U] -= bytes;
  }
  double peak = 0, alive = 0;
  for (std::size_t step = 0; step < block.steps.size(); ++step) peak = std::max(peak, alive += change[step]);
  return peak;
}

}  // namespace

Bytes latent_cache_per_token(const Plan& p, std::size_t stage) {
  const auto one = latent_cache_bytes(p.policy.cache, 1.0, static_cast<double>(p.model.kv_lora_rank), static_cast<double>(p.model.qk_rope_head_dim));
  return Bytes{one * static_cast<double>(p.stages[stage].latent_layers)};
}

Bytes index_cache_per_token(const Plan& p, std::size_t stage) {
  if (!p.model.indexer) return Bytes{0};
  return Bytes{index_cache_bytes(1.0, static_cast<double>(p.model.indexer->index_head_dim)) * static_cast<double>(p.stages[stage].index_layers)};
}

RankMemory memory(const Plan& p, std::size_t stage, const BoundPlan& bound, double resident_tokens) {
  const auto& s = p.stages[stage];
  RankMemory m;
  for (std::size_t i = 0; i < part_count; ++i) m.weights[i] = Bytes{s.weight_bytes[i]};
  m.absorbed_weights = Bytes{s.absorbed_bytes};
  m.latent_cache = latent_cache_per_token(p, stage) * resident_tokens;
  m.index_cache = index_cache_per_token(p, stage) * resident_tokens;
  double scores = 0;
  for (const auto& block : bound.blocks) {
    m.activations = std::max(m.activations, Bytes{peak_activations(*block.block, bound.sizes[static_cast<std::size_t>(block.block->attention)])});
    for (std::uint32_t i = 0; i < block.count; ++i)
      if (const auto* logits = std::get_if<IndexLogits<std::int64_t>>(&bound.steps[block.first + i].op))
        scores = std::max(scores,
                          4.0 * static_cast<double>(logits->sequences * logits->new_tokens) * static_cast<double>(logits->cached_tokens + logits->new_tokens));
  }
  m.logits_workspace = std::min(Bytes{scores}, gigabytes(p.policy.index_logits_GB));
  const auto& sizes = bound.sizes[0];
  if (has_dispatch(p.layout)) m.communication_buffers = sizes.transport == Transport::low_latency ? low_latency_buffers(p, sizes) : normal_buffers(p);
  return m;
}

}  // namespace fathom::model_spec
