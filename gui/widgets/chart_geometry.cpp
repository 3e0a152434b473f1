#include "gui/widgets/chart_geometry.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace fathom::gui {
namespace {

constexpr double bar_height = 0.72, span_height = 0.8;  // of a row

// Borders of cells lie halfway between their middles, as seen on the axis; those of a category do not depend on which others have cells.
std::map<double, Extent> borders(const std::set<double>& middles, const Axis& axis, bool logarithmic) {
  const auto seen = [=](double v) { return logarithmic ? std::log(v) : v; };
  const auto value = [=](double s) { return logarithmic ? std::exp(s) : s; };
  const bool apart = !axis.categories.empty();
  std::map<double, Extent> out;
  for (auto at = middles.begin(); at != middles.end(); ++at) {
    const double here = seen(*at);
    const double before = apart || at == middles.begin() ? NAN : (here - seen(*std::prev(at))) / 2;
    const double after = apart || std::next(at) == middles.end() ? NAN : (seen(*std::next(at)) - here) / 2;
    constexpr double alone = 0.5;
    const double left = !std::isnan(before) ? before : !std::isnan(after) ? after : alone;
    out[*at] = {value(here - left), value(here + (std::isnan(after) ? left : after))};
  }
  return out;
}

std::vector<QRectF> cells(const Series& series, const Chart& chart, const Shown& shown) {
  std::set<double> xs, ys;
  for (const auto& m : series.marks) xs.insert(m.x), ys.insert(m.y);
  const auto across = borders(xs, chart.x, shown.log_x), up = borders(ys, chart.y, shown.log_y);
  std::vector<QRectF> out;
  for (const auto& m : series.marks) {
    const auto &x = across.at(m.x), &y = up.at(m.y);
    out.emplace_back(QPointF(x.least, y.least), QPointF(x.most, y.most));
  }
  return out;
}

QRectF box_of(const Mark& m, Look look, std::map<double, double>& ends) {
  if (look == Look::spans) return {m.x, m.y - span_height / 2, m.size, span_height};
  if (look != Look::bars) return {m.x, m.y, 0, 0};
  const QRectF box(ends[m.y], m.y - bar_height / 2, m.x, bar_height);
  ends[m.y] = box.right();
  return box;
}

bool has(const Chart& chart, Look look) {
  return std::any_of(chart.series.begin(), chart.series.end(), [=](const Series& s) { return s.look == look; });
}

constexpr Extent nothing{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};

Extent with(const Extent& e, double v) { return std::isfinite(v) ? Extent{std::min(e.least, v), std::max(e.most, v)} : e; }

// The least and the most that is drawn, guides included.
Extent extent_of(const Chart& chart, const Boxes& boxes, Qt::Orientation o, bool logarithmic) {
  auto e = nothing;
  const auto take = [&](double v) {
    if (!logarithmic || v > 0) e = with(e, v);
  };
  for (const auto& series : boxes)
    for (const auto& box : series)
      for (const double v : {o == Qt::Horizontal ? box.left() : box.top(), o == Qt::Horizontal ? box.right() : box.bottom()}) take(v);
  for (const auto& g : chart.guides)
    if (g.vertical == (o == Qt::Horizontal)) take(g.at);
  if (e.least > e.most) return logarithmic ? Extent{1, 10} : Extent{0, 1};
  if (e.least < e.most) return e;
  if (logarithmic) return {e.least / 2, e.most * 2};
  const double around = e.least == 0 ? 1 : std::abs(e.least) / 2;
  return {e.least - around, e.most + around};
}

// Some air beside the outermost marks; an axis that could as well begin at 0 does. Cells fill their plot.
Extent home(const Axis& axis, Extent e, bool logarithmic, bool fills) {
  if (!axis.categories.empty()) return {-0.5, static_cast<double>(axis.categories.size()) - 0.5};
  constexpr double air = 0.04;
  if (!fills && logarithmic) {
    const double factor = std::pow(e.most / e.least, air);
    e = {e.least / factor, e.most * factor};
  } else if (!fills) {
    const double part = (e.most - e.least) * air;
    e = {e.least >= 0 && e.least <= e.most / 3 ? 0 : e.least - part, e.most + part};
  }
  return {axis.least.value_or(e.least), axis.most.value_or(e.most)};
}

}  // namespace

Boxes boxes_of(const Chart& chart, const Shown& shown) {
  Boxes out;
  std::map<double, double> ends;  // of the stack in each row
  for (const auto& series : chart.series) {
    auto apart = ends;
    auto& stack = shown.hidden.contains(series.name) ? apart : ends;
    if (series.look == Look::cells) out.push_back(cells(series, chart, shown));
    else
      std::transform(series.marks.begin(), series.marks.end(), std::back_inserter(out.emplace_back()),
                     [&](const Mark& m) { return box_of(m, series.look, stack); });
  }
  return out;
}

Extent home_of(const Chart& chart, const Boxes& boxes, Qt::Orientation o, bool logarithmic) {
  return home(o == Qt::Horizontal ? chart.x : chart.y, extent_of(chart, boxes, o, logarithmic), logarithmic, has(chart, Look::cells));
}

bool can_be_logarithmic(const Chart& chart, Qt::Orientation o) {
  const bool x = o == Qt::Horizontal;
  if (!(x ? chart.x : chart.y).categories.empty() || (x && has(chart, Look::bars))) return false;  // bars begin at 0
  return std::all_of(chart.series.begin(), chart.series.end(),
                     [=](const Series& s) { return std::all_of(s.marks.begin(), s.marks.end(), [=](const Mark& m) { return !((x ? m.x : m.y) <= 0); }); });
}

Extent heat_of(const Chart& chart) {
  auto e = nothing;
  for (const auto& s : chart.series)
    for (const auto& m : s.marks)
      if (s.look == Look::cells) e = with(e, m.size);
  if (e.least < e.most) return e;
  return e.least == e.most ? Extent{e.least - 0.5, e.least + 0.5} : Extent{0, 1};
}

}  // namespace fathom::gui
