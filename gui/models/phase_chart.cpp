#include "gui/models/phase_chart.h"

#include <fmt/format.h>

#include "gui/models/bound_colour.h"

namespace fathom::gui {

Chart phase_chart(const Answer& a, PhaseName p, std::string_view what) {
  Chart c;
  c.title = fmt::format("{} {}", title_of(p), what);
  c.empty = a.nothing(p);
  return c;
}

Chart step_chart(const Answer& a, PhaseName p, std::string_view what) {
  auto c = phase_chart(a, p, what);
  if (c.empty.empty() && a.estimated(p).layout.pp > 1) c.title += fmt::format(" (first of {} stages)", a.estimated(p).layout.pp);
  return c;
}

BoundSeries::BoundSeries(Look look) {
  for (std::size_t b = 0; b < bound_names.size(); ++b)
    series.push_back({.name = std::string(bound_names[b]), .look = look, .marks = {}, .colour = bound_colour(static_cast<Bound>(b))});
}

void add(Chart& chart, BoundSeries bounds) {
  for (auto& s : bounds.series)
    if (!s.marks.empty()) chart.series.push_back(std::move(s));
}

Seconds sum_of(const std::vector<cli::OperatorTotal>& operators) {
  Seconds sum;
  for (const auto& o : operators) sum += o.total;
  return sum;
}

}  // namespace fathom::gui
