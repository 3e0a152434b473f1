#include "executor/row_map.h"

#include <algorithm>
#include <cassert>

namespace fathom::executor {

using namespace model_spec;

RowMap::RowMap(const Batch& batch, const BoundPlan& bound, Attention kind) {
  std::int64_t token = 0, position = 0;
  for (std::size_t g = 0; g < batch.groups.size(); ++g) {
    const auto& group = batch.groups[g];
    paths_.push_back(bound.paths[g][static_cast<std::size_t>(kind)]);
    tokens_.push_back({token, group.sequences * group.new_tokens});
    context_.push_back({position, group.sequences * (group.cached_tokens + group.new_tokens)});
    token += tokens_.back().count;
    position += context_.back().count;
  }
}

RowRange RowMap::sum(const std::vector<RowRange>& ranges, PathSet paths) const {
  RowRange all;
  for (std::size_t g = 0; g < ranges.size(); ++g) {
    if (!on(g, paths)) continue;
    if (all.count == 0) all.first = ranges[g].first;
    assert(ranges[g].first == all.first + all.count && "groups stand in the order of path_order()");
    all.count += ranges[g].count;
  }
  return all;
}

RowRange RowMap::tokens(PathSet paths) const { return sum(tokens_, paths); }
RowRange RowMap::context(PathSet paths) const { return sum(context_, paths); }

std::vector<std::int32_t> confirmed_tokens(const StepInput& input, std::span<const std::int32_t> sampled) {
  std::vector<std::int32_t> result;
  std::int64_t first = 0;
  for (const auto& group : input.batch.groups)
    for (std::int64_t s = 0; s < group.sequences; ++s, first += group.new_tokens) {
      const auto end = first + group.new_tokens;
      auto row = first;
      while (row + 1 < end && input.next_ids[static_cast<std::size_t>(row)] >= 0) ++row;  // what follows is known
      const auto sampled_at = [&](std::int64_t r) {
        const auto it = std::ranges::lower_bound(input.sampled, r);
        return it != input.sampled.end() && *it == r ? sampled[static_cast<std::size_t>(it - input.sampled.begin())] : -1;
      };
      while (row + 1 < end && input.ids[static_cast<std::size_t>(row + 1)] == sampled_at(row)) ++row;
      result.push_back(static_cast<std::int32_t>(row));
    }
  return result;
}

}  // namespace fathom::executor
