// The figures that a planner compares scenarios by.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "gui/models/answer.h"

namespace fathom::gui {

// A figure of an answer; absent where the scenario does not run or nobody named a price.
struct Metric {
  std::string_view id, label;  // label: with its unit
  Kind kind;
  std::optional<double> (*value)(const Answer&);
};
std::span<const Metric> metrics();

}  // namespace fathom::gui
