// What happened, or is predicted to happen, step by step: the simulator makes it by arithmetic, the executor by doing it. Rows of both have
// the same key.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "model_spec/op.h"
#include "model_spec/units.h"

namespace fathom::model_spec {

// Where a rate came from. Shown beside every number that rests on it.
enum class Provenance : std::uint8_t {
  datasheet,    // the vendor's peak, taken as it is
  published,    // measured by others and published
  calibrated,   // measured by Fathom's own executor
  transferred,  // measured on another device and carried over as a fraction of the peak
  assumed,      // nobody's measurement
};
inline constexpr std::array<std::string_view, 5> provenance_names{"datasheet", "published", "calibrated", "transferred", "assumed"};
constexpr std::string_view name_of(Provenance p) { return provenance_names[static_cast<std::size_t>(p)]; }

enum class Bound : std::uint8_t { compute, memory, vector, wire, fixed };
inline constexpr std::array<std::string_view, 5> bound_names{"compute", "memory", "vector", "wire", "fixed"};
constexpr std::string_view name_of(Bound b) { return bound_names[static_cast<std::size_t>(b)]; }

// A predicted duration with its reasons. total = fixed + max(compute, memory, vector, wire).
struct OpTime {
  Seconds compute{}, memory{}, vector{}, wire{};
  Seconds fixed{};  // cost of a kernel or an exchange whatever its size
  Seconds total{};
  Seconds floor{};  // at the machine's peaks, without fixed cost: the speed of light
  Bound bound = Bound::fixed;
  Arithmetic arithmetic = Arithmetic::fp32;  // of its matrix work; with the family it names the efficiency used
  Provenance provenance = Provenance::assumed;
  bool inside = true;  // within the domain that was measured
};

struct StepId {
  std::uint16_t stage = 0, block = 0, step = 0, group = 0;
  std::int32_t layer = -1;  // first of the layers that the block stands for
  std::uint16_t micro_batch = 0;
  std::uint32_t rank = 0;
  friend bool operator==(const StepId&, const StepId&) = default;
};

struct TracedStep {
  StepId id;
  std::string_view label;  // static text of the plan
  Op op;
  bool communication = false;
  Seconds start{}, duration{};
  std::optional<OpTime> predicted;
};

// The steps [first, first + count) ran `repeats` times, each time as long as `interval`.
struct TracedBlock {
  std::string_view name;
  std::uint32_t first = 0, count = 0;
  std::int64_t first_layer = -1, repeats = 1;
  Seconds start{}, interval{};
};

struct Trace {
  std::vector<TracedStep> steps;
  std::vector<TracedBlock> blocks;
  Seconds total{};
};

}  // namespace fathom::model_spec
