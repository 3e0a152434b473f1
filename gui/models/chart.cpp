#include "gui/models/chart.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>

#include "simulator/report.h"

namespace fathom::gui {
namespace {

using simulator::csv_text;

constexpr std::array<std::string_view, 6> look_names{"line", "dashed", "points", "bars", "spans", "cells"};

std::string in_full(double v) { return std::isfinite(v) ? fmt::format("{}", v) : std::string(); }
std::string short_text(double v) { return fmt::format("{:.6g}", v); }

// Where a mark stands on an axis: the category's name, or the number.
template <class Text>
std::string place(const Axis& axis, double at, const Text& text) {
  const bool named = at >= 0 && at < static_cast<double>(axis.categories.size());
  return named ? axis.categories[static_cast<std::size_t>(at)] : text(at);
}

std::string dump(const char* name, const Axis& a) {
  auto out = fmt::format("{}: {}{}", name, a.title, a.logarithmic ? " (log)" : "");
  if (a.least) out += fmt::format(" from {:.6g}", *a.least);
  if (a.most) out += fmt::format(" to {:.6g}", *a.most);
  return out + "\n";
}

}  // namespace

std::string to_csv(const Chart& chart) {
  std::string out = "series,x,y,size,key\n";
  for (const auto& s : chart.series)
    for (const auto& m : s.marks)
      out += fmt::format("{},{},{},{},{}\n", csv_text(s.name), csv_text(place(chart.x, m.x, in_full)), csv_text(place(chart.y, m.y, in_full)), in_full(m.size),
                         csv_text(m.key));
  return out;
}

std::string dump(const Chart& chart) {
  auto out = chart.title + "\n";
  if (!chart.empty.empty()) return out + "empty: " + chart.empty + "\n";
  out += dump("x", chart.x) + dump("y", chart.y);
  for (const auto& g : chart.guides) out += fmt::format("{} guide at {:.6g}: {}\n", g.vertical ? "vertical" : "horizontal", g.at, g.text);
  for (const auto& s : chart.series) {
    out += fmt::format("{} {} ({})\n", look_names[static_cast<std::size_t>(s.look)], s.name, s.colour);
    for (const auto& m : s.marks)
      out +=
          fmt::format("  {} | {} | {:.6g}{}{}\n", place(chart.x, m.x, short_text), place(chart.y, m.y, short_text), m.size, m.key.empty() ? "" : " | ", m.key);
  }
  return out;
}

}  // namespace fathom::gui
