// Scenarios side by side.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gui/models/answer.h"

namespace fathom::gui {

// A column for each scenario with the figures of its report; behind each but the first a column that says by how much they differ from the first.
Table comparison_table(const std::vector<std::pair<std::string, SharedAnswer>>&);

}  // namespace fathom::gui
