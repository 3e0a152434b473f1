// Where the marks of a chart stand, in the numbers of its axes.
#pragma once

#include <set>
#include <string>
#include <vector>

#include <QRectF>

#include "gui/models/chart.h"

namespace fathom::gui {

// What a user has changed about a chart.
struct Shown {
  bool log_x = false, log_y = false;
  std::set<std::string> hidden;  // series, by name
};

// The box of each mark, by series: of lines and points without a size. A hidden bar takes no place in its stack.
using Boxes = std::vector<std::vector<QRectF>>;
Boxes boxes_of(const Chart&, const Shown&);

struct MarkIndex {
  std::size_t series, mark;
};

struct Extent {
  double least, most;
};
// What an axis (horizontal: x) shows before anybody zooms.
Extent home_of(const Chart&, const Boxes&, Qt::Orientation, bool logarithmic);
// A logarithmic axis would show every mark.
bool can_be_logarithmic(const Chart&, Qt::Orientation);
// The values of the cells.
Extent heat_of(const Chart&);

}  // namespace fathom::gui
