// Scenarios side by side.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gui/models/answer.h"

namespace fathom::gui {

// A column for each scenario with the figures of its report; behind each but the first a column that says by how much they differ from the first.
Table comparison_table(const std::vector<std::pair<std::string, SharedAnswer>>&);

// The settings in which two scenarios differ, the derived ones left out: "decode.batch = 64, system = \"h200_sxm\", 2 more". Empty: in none.
std::string difference(const Answer& before, const Answer& now);

}  // namespace fathom::gui
