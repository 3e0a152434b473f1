// What happens in a part of a timeline.
#pragma once

#include <string>

#include "gui/models/chart.h"

namespace fathom::gui {

// Sums of the spans of a timeline (timeline_chart) by row and name between two times, longest first, as HTML of QTextDocument's kind.
std::string range_html(const Chart& timeline, double from, double to);

}  // namespace fathom::gui
