#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "gui/models/bound_colour.h"
#include "gui/models/phase_chart.h"
#include "gui/models/views.h"

namespace fathom::gui {
namespace {

using hardware_profiles::HardwareProfile;

// An operator with matrix work and traffic; no other has a place under the roofs.
struct Point {
  const cli::OperatorTotal* o;
  double intensity, flops_per_second, bytes_per_second;
};

std::vector<Point> points_of(const std::vector<cli::OperatorTotal>& operators) {
  std::vector<Point> out;
  for (const auto& o : operators) {
    const auto c = cost(o.step->op);
    const double flops = c.total_matrix_flops(), bytes = c.hbm_bytes(), seconds = o.step->duration.value;
    if (flops > 0 && bytes > 0 && seconds > 0) out.push_back({&o, flops / bytes, flops / seconds, bytes / seconds});
  }
  return out;
}

std::string tip_of(const Point& p, Seconds step) {
  return fmt::format("{}\n{} FLOP/byte: {} TFLOP/s in {}, {} GB/s", operator_tip(*p.o, step), shown_real(p.intensity), shown_real(p.flops_per_second / 1e12),
                     name_of(p.o->step->predicted->arithmetic), shown_real(p.bytes_per_second / 1e9));
}

struct Roof {
  std::string name;
  double flops_per_second, ridge;  // FLOP/byte where it meets the slope of the memory
};

// A flat roof for each arithmetic that is used.
std::vector<Roof> roofs_of(const HardwareProfile& profile, const std::vector<Point>& points) {
  std::set<Arithmetic> used;
  for (const auto& p : points) used.insert(p.o->step->predicted->arithmetic);
  std::vector<Roof> out;
  for (const auto a : used) {
    const double rate = profile.rate(a).value;
    out.push_back({fmt::format("{} {:.4g} TFLOP/s", name_of(a), rate / 1e12), rate, rate / profile.bandwidth().value});
  }
  return out;
}

// Whole decades with room for all points and all corners of the roofs.
std::pair<double, double> reach(const std::vector<Point>& points, const std::vector<Roof>& roofs) {
  double low = roofs.front().ridge, high = low;
  const auto take = [&](double x) { low = std::min(low, x), high = std::max(high, x); };
  for (const auto& r : roofs) take(r.ridge);
  for (const auto& p : points) take(p.intensity);
  return {std::pow(10, std::floor(std::log10(low))), std::pow(10, std::ceil(std::log10(high)))};
}

Series line(const std::string& name, double x, double y, double to_x, double to_y) {
  return {.name = name,
          .look = Look::dashed,
          .marks = {{.x = x, .y = y / 1e12, .key = {}, .tip = name}, {.x = to_x, .y = to_y / 1e12, .key = {}, .tip = name}},
          .colour = neutral_colour};
}

void add_roofs(Chart& chart, const HardwareProfile& profile, const std::vector<Point>& points) {
  const auto roofs = roofs_of(profile, points);
  if (roofs.empty()) return;
  const auto [low, high] = reach(points, roofs);
  const double bandwidth = profile.bandwidth().value;
  const auto highest = std::ranges::max(roofs, {}, &Roof::ridge);
  chart.series.push_back(line(fmt::format("{:.4g} TB/s HBM", bandwidth / 1e12), low, low * bandwidth, highest.ridge, highest.flops_per_second));
  for (const auto& r : roofs) chart.series.push_back(line(r.name, r.ridge, r.flops_per_second, high, r.flops_per_second));
}

}  // namespace

Chart roofline_chart(const Answer& a, PhaseName p) {
  auto chart = step_chart(a, p, a.estimate ? "roofline: " + a.phase(p).system : "roofline");
  chart.x = {.title = "FLOP per byte of HBM", .logarithmic = true, .categories = {}};
  chart.y = {.title = "TFLOP/s", .logarithmic = true, .categories = {}};
  if (!chart.empty.empty()) return chart;
  const auto operators = cli::operator_totals(a.estimated(p).trace);
  const auto step = sum_of(operators);
  const auto points = points_of(operators);
  add_roofs(chart, a.system(p).profile, points);
  BoundSeries bounds(Look::points);
  for (const auto& x : points)
    bounds.of(x.o->step->predicted->bound).push_back({.x = x.intensity, .y = x.flops_per_second / 1e12, .key = operator_key(p, *x.o), .tip = tip_of(x, step)});
  add(chart, std::move(bounds));
  return chart;
}

}  // namespace fathom::gui
