#include <fmt/format.h>

#include <algorithm>

#include "model_spec/error.h"
#include "model_spec/model.h"

namespace fathom::model_spec {
namespace {

void keep_layers(ModelSpec& m, std::int64_t layers) {
  const auto runs = layer_runs(m);
  m.layers.clear();
  for (const auto& run : runs) {
    const auto left = std::min(run.count, layers - run.first);
    if (left > 0) m.layers.push_back({.repeat = left, .attention = run.attention, .ffn = run.ffn, .layers = {}});
  }
  const bool sparse = std::ranges::any_of(m.layers, [](const LayerPattern& p) { return p.attention == Attention::mla_sparse; });
  if (!sparse) m.indexer.reset();
}

void require_part(std::string_view what, std::int64_t wanted, std::int64_t all) {
  if (wanted < 1 || wanted > all) throw Error(Failure::usage, fmt::format("{}: {} of the {} that the model has cannot be kept", what, wanted, all));
}

}  // namespace

ModelSpec cut(ModelSpec m, std::optional<std::int64_t> layers, std::optional<std::int64_t> experts) {
  if (layers) {
    require_part("layers", *layers, num_hidden_layers(m));
    keep_layers(m, *layers);
  }
  if (experts) {
    require_part("experts", *experts, m.n_routed_experts);
    m.n_routed_experts = *experts;
  }
  for (const auto& problem : check(m)) throw Error(Failure::usage, fmt::format("{}: {}", problem.key, problem.message));
  return m;
}

}  // namespace fathom::model_spec
