#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "gui/models/bound_colour.h"
#include "gui/models/phase_chart.h"
#include "gui/models/views.h"

namespace fathom::gui {
namespace {

constexpr std::size_t most_bars = 24;

std::vector<cli::OperatorTotal> longest_first(std::vector<cli::OperatorTotal> operators) {
  std::erase_if(operators, [](const auto& o) { return o.total <= Seconds{}; });
  std::ranges::stable_sort(operators, std::greater{}, &cli::OperatorTotal::total);
  return operators;
}

// The short ones in one bar, below all others.
void add_rest(Chart& chart, const std::vector<cli::OperatorTotal>& rest, Seconds step) {
  const double us = 1e6 * sum_of(rest).value;
  const auto name = fmt::format("{} {}", rest.size(), rest.size() == 1 ? "other" : "others");
  const auto tip = fmt::format("{}, {} us together, {} % of the step", name, shown_real(us), shown(Cell{100 * (sum_of(rest) / step)}, Kind::percent));
  chart.series.push_back({.name = "others",
                          .look = Look::bars,
                          .marks = {{.x = us, .y = static_cast<double>(chart.y.categories.size()), .key = {}, .tip = tip}},
                          .colour = neutral_colour});
  chart.y.categories.push_back(name);
}

}  // namespace

Chart latency_chart(const Answer& a, PhaseName p) {
  auto chart = step_chart(a, p, "step by operator");
  chart.x.title = "us in one step";
  if (!chart.empty.empty()) return chart;
  const auto operators = longest_first(cli::operator_totals(a.estimated(p).trace));
  const auto step = sum_of(operators);
  const auto shown_ones = std::min(most_bars, operators.size());
  BoundSeries bounds(Look::bars);
  for (std::size_t i = 0; i < shown_ones; ++i) {
    const auto& o = operators[i];
    bounds.of(o.step->predicted->bound)
        .push_back({.x = 1e6 * o.total.value, .y = static_cast<double>(i), .key = operator_key(p, o), .tip = operator_tip(o, step)});
    chart.y.categories.push_back(fmt::format("{} · {}", cli::block_name(*o.block), o.step->label));
  }
  add(chart, std::move(bounds));
  if (shown_ones < operators.size()) add_rest(chart, {operators.begin() + most_bars, operators.end()}, step);
  return chart;
}

KeyedTable latency_table(const Answer& a, PhaseName p) {
  KeyedTable t;
  if (!a.nothing(p).empty()) return t;
  const auto& e = a.estimated(p);
  t.table = cli::steps_table(std::string(name_of(p)), e);
  const auto operators = cli::operator_totals(e.trace);
  // Its records are those operators in the same order, but for some that take no time.
  auto next = operators.begin();
  for (const auto& r : t.table.records) {
    next = std::find_if(next, operators.end(), [&](const cli::OperatorTotal& o) {
      return r.cells[0] == Cell{cli::block_name(*o.block)} && r.cells[1] == Cell{std::string(o.step->label)} &&
             r.cells[3] == Cell{1e6 * o.total.value / o.times};
    });
    t.keys.push_back(next == operators.end() ? std::string() : operator_key(p, *next++));
  }
  return t;
}

}  // namespace fathom::gui
