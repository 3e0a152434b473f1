// What the charts of a phase have in common.
#pragma once

#include "gui/models/answer.h"
#include "gui/models/chart.h"

namespace fathom::gui {

// "Decode <what>", and why there is nothing to show, if so.
Chart phase_chart(const Answer&, PhaseName, std::string_view what);
// The same of the traced step, which is the first stage's.
Chart step_chart(const Answer&, PhaseName, std::string_view what);

// A series for each thing that can bound an operator, in the order of Bound; empty ones are left out of the chart.
struct BoundSeries {
  explicit BoundSeries(Look);
  std::vector<Mark>& of(Bound b) { return series[static_cast<std::size_t>(b)].marks; }
  std::vector<Series> series;
};
void add(Chart&, BoundSeries);

Seconds sum_of(const std::vector<cli::OperatorTotal>&);
inline std::string shown_real(double v) { return shown(Cell{v}, Kind::real); }

}  // namespace fathom::gui
