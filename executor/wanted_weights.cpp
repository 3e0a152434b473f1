#include "executor/wanted_weights.h"

#include <algorithm>
#include <cassert>

namespace fathom::executor {
namespace {

using model_spec::Plan;
using model_spec::Shard;
using model_spec::Tensor;
using model_spec::TensorTable;
using model_spec::Weight;

bool is_expert(const Tensor& t) { return t.shard == Shard::expert_rows || t.shard == Shard::expert_columns; }

// What a stage needs.
struct Needs {
  bool first = false, last = false, mtp = false;  // of the stages; the prediction layer
  std::vector<std::int64_t> layers;               // -1: tensors of the model; the prediction layer comes last
};
Needs needs_of(const Plan& p, std::int64_t stage) {
  const bool last = stage == p.layout.pp - 1;
  Needs n{.first = stage == 0, .last = last, .mtp = last && p.policy.mtp_depth > 0, .layers = {-1}};
  const auto own = stage_layers(p.model, p.layout, stage);
  for (std::int64_t i = 0; i < own.count; ++i) n.layers.push_back(own.first + i);
  if (n.mtp) n.layers.push_back(num_hidden_layers(p.model));
  return n;
}

// The prediction layer's embedding and head are the model's own where the stage has those.
bool loads(const Needs& n, const Tensor& t, std::int64_t layer) {
  if (t.layers.empty()) return layer == -1 && (t.id == Weight::embed_tokens ? n.first : n.last);
  if (t.id == Weight::mtp_lm_head || (t.id == Weight::mtp_embed_tokens && n.first)) return false;
  return std::ranges::any_of(t.layers, [&](const auto& range) { return layer >= range.first && layer < range.first + range.count; });
}

}  // namespace

double Wanted::stored_bytes() const {
  return static_cast<double>(count) * model_spec::storage_bytes(tensor->storage, static_cast<double>(slice.rows), static_cast<double>(slice.columns));
}

double WantedWeights::stored_bytes() const {
  double sum = 0;
  for (const auto& w : load) sum += w.stored_bytes();
  return sum;
}

WantedWeights wanted_weights(const Plan& p, const model_spec::Place& place, const TensorTable& table) {
  assert(p.layout.redundant_experts == 0);
  const auto needs = needs_of(p, place.stage);
  const auto experts = local_experts(p.model, p.layout);
  WantedWeights wanted;
  for (const auto layer : needs.layers)
    for (const auto& t : table) {
      if (!loads(needs, t, layer)) continue;
      auto& w = wanted.load.emplace_back(Wanted{.tensor = &t, .layer = layer, .slice = slice_of(t, p.layout, place)});
      if (is_expert(t)) w.first_expert = place.ep * experts, w.count = experts;
    }
  if (needs.mtp) wanted.shared.push_back({Weight::mtp_lm_head, needs.layers.back(), Weight::lm_head});
  if (needs.mtp && needs.first) wanted.shared.push_back({Weight::mtp_embed_tokens, needs.layers.back(), Weight::embed_tokens});
  return wanted;
}

}  // namespace fathom::executor
