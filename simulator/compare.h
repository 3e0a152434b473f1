// Predicted beside measured, by operator.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "model_spec/trace.h"

namespace fathom::simulator {

// All steps of one label together.
struct ComparedLabel {
  std::string_view label;
  std::int64_t runs = 0;
  model_spec::Seconds measured{}, predicted{};
};

struct Comparison {
  std::vector<ComparedLabel> labels;            // in the order of the plan
  model_spec::Seconds measured{}, predicted{};  // of whole steps, all stages together: what the labels do not add up to lies between operators
};

// One step, a trace for each pipeline stage. Precondition: of the same unrolled plan (nothing repeats) and the same batch, without overlap; so
// both have the same StepIds.
Comparison compare(std::span<const model_spec::Trace> measured, std::span<const model_spec::Trace> predicted);

}  // namespace fathom::simulator
