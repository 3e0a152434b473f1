// How a model is spread over GPUs, and why a layout makes no sense.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model_spec/model.h"

namespace fathom::model_spec {

// Ranks of a pipeline stage: tp * dp * cp for attention, the same ranks as etp * ep for experts.
struct Layout {
  std::int64_t tp = 1;                 // tensor parallel: attention heads, dense FFN, shared expert, vocabulary
  std::int64_t dp = 1;                 // attention data parallel: requests
  std::int64_t cp = 1;                 // context parallel (refused: nothing here splits a sequence yet)
  std::int64_t pp = 1;                 // pipeline stages
  std::int64_t etp = 1;                // tensor parallel inside an expert
  std::int64_t ep = 1;                 // expert parallel
  std::int64_t redundant_experts = 0;  // extra copies placed besides the model's experts (EPLB)
  std::int64_t micro_batches = 1;      // in flight at once through the pipeline
  friend bool operator==(const Layout&, const Layout&) = default;
};

constexpr std::int64_t stage_ranks(const Layout& l) { return l.tp * l.dp * l.cp; }
constexpr std::int64_t gpus(const Layout& l) { return stage_ranks(l) * l.pp; }
constexpr std::int64_t physical_experts(const ModelSpec& m, const Layout& l) { return m.n_routed_experts + l.redundant_experts; }
constexpr std::int64_t local_experts(const ModelSpec& m, const Layout& l) { return physical_experts(m, l) / l.ep; }

// Tokens travel to experts on other ranks only if ranks hold different tokens and different experts.
constexpr bool has_dispatch(const Layout& l) { return l.dp > 1 && l.ep > 1; }

std::string label(const Layout&);  // tp1pp1dp8etp1ep8

// The reason why this layout cannot run this model, in one line, or nothing. A size that does not divide, experts that cannot be placed,
// a slice through a block of 128 that shares a scale.
std::optional<std::string> check(const ModelSpec&, const Layout&);

struct LayerRange {
  std::int64_t first = 0, count = 0;
};
// Layers of a pipeline stage: as even as can be, the earlier stages take the remainder (the last also holds the head).
LayerRange stage_layers(const ModelSpec&, const Layout&, std::int64_t stage);

}  // namespace fathom::model_spec
