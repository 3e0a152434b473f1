// The figures that a planner compares scenarios by.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gui/models/answer.h"

namespace fathom::gui {

// A figure of an answer; absent where the scenario does not run or nobody named a price.
struct Metric {
  std::string_view id, name, unit;  // unit: empty where the name says it
  Kind kind;
  std::optional<double> (*value)(const Answer&);
};
std::span<const Metric> metrics();
const Metric* find_metric(std::string_view id);  // null: there is none
std::string label(const Metric&);                // "Time per output token, ms"

}  // namespace fathom::gui
