#include "executor/cuda/step_graph.h"

#include <algorithm>
#include <array>
#include <bit>

#include "executor/cuda/step_inputs.h"

namespace fathom::executor {

using namespace model_spec;

GraphKey graph_key(const BoundPlan& bound, const StepInput& input) {
  const auto& s = input.sampling;
  GraphKey key{StepInputs::longest(input.batch),
               std::ssize(input.sampled),
               bound.sizes[0].of(Rows::drafted, all_paths),
               std::ssize(input.drafted),
               input.timed,
               std::bit_cast<std::int32_t>(s.temperature),
               std::bit_cast<std::int32_t>(s.top_p),
               static_cast<std::int64_t>(s.seed)};
  const auto of_step = key.size();
  bool copied = false;
  for (std::size_t g = 0; g < input.batch.groups.size(); ++g) {
    const auto& group = input.batch.groups[g];
    const auto [dense, sparse] = bound.paths[g];
    copied = copied || StepInputs::copies_context(bound.paths[g]);
    const std::array<std::int64_t, 4> kind{static_cast<std::int64_t>(dense), static_cast<std::int64_t>(sparse), group.new_tokens,
                                           copied ? group.cached_tokens : -1};
    const bool same = key.size() > of_step && !input.timed && std::equal(kind.begin(), kind.end(), key.end() - 5);
    if (same) key.back() += group.sequences;
    else key.insert(key.end(), kind.begin(), kind.end()), key.push_back(group.sequences);
  }
  return key;
}

StepGraph* StepGraphs::find(const GraphKey& key) {
  auto [found, made] = graphs_.try_emplace(key);
  found->second.last_used = ++uses_;
  if (!made) return &found->second;
  if (graphs_.size() > most) graphs_.erase(std::ranges::min_element(graphs_, {}, [](const auto& entry) { return entry.second.last_used; }));
  return nullptr;
}

}  // namespace fathom::executor
