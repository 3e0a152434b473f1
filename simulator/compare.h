// Predicted beside measured, by operator.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "simulator/op_time.h"

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

// What the time of one operator comes to, by its record's own cost().
struct Speed {
  FlopsPerSecond flops{};  // of its matrix work
  BytesPerSecond bytes{};  // each address counted once
  OpTime predicted;        // of a kernel of its own; its floor is the time at the machine's peaks
  double floor_share = 0;  // floor / time
  // No kernel is faster than its floor: then the record counts too much, or the kernel does not do its work, or the machine is another one.
  [[nodiscard]] bool possible() const { return floor_share <= 1; }
};
Speed speed_of(const Machine&, const Op&, Seconds measured);

}  // namespace fathom::simulator
