// Where a step's rows stand in its activations. Groups of a batch are ordered so that those on any set of paths that a plan asks for are
// neighbours: a set is then a range of rows.
#pragma once

#include "executor/backend.h"

namespace fathom::executor {

struct RowRange {
  std::int64_t first = 0, count = 0;
};

// Groups of a batch come in ascending order of this.
constexpr int path_order(model_spec::Path p) {
  switch (p) {
    case model_spec::Path::dense_mqa: return 0;
    case model_spec::Path::sparse_decode: return 1;
    case model_spec::Path::sparse_prefill: return 2;
    case model_spec::Path::masked_mha: return 3;
    case model_spec::Path::dense_mha: return 4;
  }
  return 4;
}

// For the layers of one kind of attention.
class RowMap {
 public:
  RowMap() = default;
  RowMap(const model_spec::Batch&, const model_spec::BoundPlan&, model_spec::Attention);
  // Rows among all tokens, and among all positions (cached and new), of the groups on these paths.
  [[nodiscard]] RowRange tokens(model_spec::PathSet) const;
  [[nodiscard]] RowRange context(model_spec::PathSet) const;
  [[nodiscard]] RowRange tokens_of(std::size_t group) const { return tokens_[group]; }
  [[nodiscard]] RowRange context_of(std::size_t group) const { return context_[group]; }
  [[nodiscard]] bool on(std::size_t group, model_spec::PathSet paths) const { return paths & model_spec::bit(paths_[group]); }

 private:
  [[nodiscard]] RowRange sum(const std::vector<RowRange>&, model_spec::PathSet) const;
  std::vector<model_spec::Path> paths_;
  std::vector<RowRange> tokens_, context_;
};

// The last token of each sequence that is certain: drafts count as long as each equals what was sampled for the token before it.
// sampled: ids for input.sampled.
std::vector<std::int32_t> confirmed_tokens(const StepInput&, std::span<const std::int32_t> sampled);

}  // namespace fathom::executor
