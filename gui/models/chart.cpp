#include "gui/models/chart.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace fathom::gui {
namespace {

constexpr std::array<std::string_view, 6> look_names{"line", "dashed", "points", "bars", "spans", "cells"};

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

// Where a mark stands on an axis: the category's name, or the number.
std::string place(const Axis& axis, double at, int digits) {
  const auto index = static_cast<std::size_t>(at);
  if (index < axis.categories.size()) return axis.categories[index];
  return digits > 0 ? fmt::format("{:.{}g}", at, digits) : fmt::format("{}", at);
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
      out += fmt::format("{},{},{},{},{}\n", quoted(s.name), quoted(place(chart.x, m.x, 0)), quoted(place(chart.y, m.y, 0)), m.size, quoted(m.key));
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
      out += fmt::format("  {} | {} | {:.6g}{}{}\n", place(chart.x, m.x, 6), place(chart.y, m.y, 6), m.size, m.key.empty() ? "" : " | ", m.key);
  }
  return out;
}

}  // namespace fathom::gui
