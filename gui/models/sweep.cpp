#include "gui/models/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "cli/flags.h"
#include "gui/models/html.h"
#include "gui/models/metrics.h"
#include "gui/models/sweep_axis.h"
#include "model_spec/error.h"

namespace fathom::gui {
namespace {

std::string number_text(double v) { return shown(Cell{v}, Kind::real); }

// All values of a sweep are one layer of settings: what is before the colon names it (simulator/scenario.h), the rest says what was set.
constexpr std::string_view layer = "sweep: ";

Setting setting_of(const std::string& key, double v) {
  const bool whole = v == std::floor(v) && std::abs(v) < 1e15;
  auto literal = whole ? std::to_string(static_cast<std::int64_t>(v)) : model_spec::toml_number(v);
  auto origin = fmt::format("{}{} = {}", layer, key, literal);
  return {key, std::move(literal), std::move(origin)};
}

std::string without_layer(std::string text) {
  for (auto at = text.find(layer); at != std::string::npos; at = text.find(layer)) text.erase(at, layer.size());
  return text;
}

std::string configuration_of(const Answer& a) {
  const auto& s = *a.scenario;
  auto out = fmt::format("{}: {} input and {} output tokens", s.model.name, s.workload.isl, s.workload.osl);
  for (const auto p : {PhaseName::prefill, PhaseName::decode}) {
    const auto& e = a.estimated(p);
    out += fmt::format("\n{}: {} GPUs of {}, {}", name_of(p), e.gpus, e.system, label(e.layout));
    if (!e.batch.groups.empty()) out += fmt::format(", {} sequences per dp rank", e.batch.groups.front().sequences);
  }
  return out;
}

void evaluate(const std::vector<Setting>& settings, SweepPoint& point) {
  Answer a;
  try {
    a.scenario = read_scenario(settings);
    a.estimate = estimate(*a.scenario);
    point.configuration = configuration_of(a);
  } catch (const model_spec::Error& e) {
    a.estimate.reset();
    a.faults.push_back({.line = 0, .key = {}, .message = without_layer(e.what())});
  }
  point.reason = a.nothing(PhaseName::prefill);
  if (point.reason.empty()) point.reason = a.nothing(PhaseName::decode);
  for (const auto& m : metrics()) point.values.push_back(m.value(a));
}

std::vector<SweepPoint> points_of(const SweepRequest& r) {
  std::vector<SweepPoint> points;
  for (const double y : r.y ? r.y->values : std::vector{0.0})
    for (const double x : r.x.values) points.push_back({.x = x, .y = y});
  return points;
}

std::string name_of_point(const SweepResult& r, const SweepPoint& p, const char* equals, const char* between) {
  const auto text = [&](const SweepAxis& axis, double v) { return axis.key + equals + setting_of(axis.key, v).literal; };
  return text(r.x, p.x) + (r.y ? between + text(*r.y, p.y) : "");
}

std::string key_of(const SweepResult& r, const SweepPoint& p) { return name_of_point(r, p, "=", ";"); }

// A fault of a swept value names the value first; the point does so already.
std::string reason_of(const SweepResult& r, const SweepPoint& p) {
  const auto name = name_of_point(r, p, " = ", ", ") + ": ";
  return p.reason.starts_with(name) ? p.reason.substr(name.size()) : p.reason;
}

std::string tip_of(const SweepResult& r, const SweepPoint& p, std::size_t metric) {
  auto tip = name_of_point(r, p, " = ", ", ");
  if (const auto v = p.values[metric]) tip += fmt::format("\n{}: {}", label(metrics()[metric]), shown(Cell{*v}, metrics()[metric].kind));
  return p.reason.empty() ? tip : tip + "\n" + reason_of(r, p);
}

std::size_t missing(const SweepResult& r, std::size_t metric) {
  return static_cast<std::size_t>(std::ranges::count_if(r.points, [&](const SweepPoint& p) { return !p.values[metric]; }));
}

std::string emptiness(const SweepResult& r, std::size_t metric) {
  if (!r.fault.empty()) return r.fault;
  if (r.points.empty()) return "No values to sweep over";
  if (missing(r, metric) < r.points.size()) return {};
  const auto& reason = r.points.front().reason;
  return reason.empty() ? "Nobody has named a price of a GPU-hour: set prices.usd_per_gpu_hour" : "No point runs: " + reason;
}

Axis axis_of(const SweepAxis& a) {
  const auto [least, most] = std::ranges::minmax(a.values);
  return {.title = sweep_label(a.key), .logarithmic = spans_decades(least, most), .categories = {}};
}

// A word where a line ends although the sweep goes on.
void mark_gaps(const SweepResult& r, std::size_t metric, Chart& chart) {
  bool before = true;
  for (const auto& p : r.points) {
    const bool here = p.values[metric].has_value();
    if (before && !here) chart.guides.push_back({.at = p.x, .text = "does not run"});
    before = here;
  }
}

void draw_line(const SweepResult& r, std::size_t metric, Chart& chart) {
  chart.x = axis_of(r.x);
  chart.y.title = label(metrics()[metric]);
  Series line{.name = chart.y.title, .look = Look::line, .marks = {}};
  for (const auto& p : r.points) line.marks.push_back({.x = p.x, .y = p.values[metric].value_or(NAN), .key = key_of(r, p), .tip = tip_of(r, p, metric)});
  chart.series.push_back(std::move(line));
  mark_gaps(r, metric, chart);
}

// The least value of y stands at the bottom, as on any axis of numbers.
void draw_cells(const SweepResult& r, std::size_t metric, Chart& chart) {
  const auto columns = r.x.values.size(), rows = r.y->values.size();
  chart.x.title = sweep_label(r.x.key);
  chart.y.title = sweep_label(r.y->key);
  chart.colour_title = label(metrics()[metric]);
  std::ranges::transform(r.x.values, std::back_inserter(chart.x.categories), number_text);
  std::transform(r.y->values.rbegin(), r.y->values.rend(), std::back_inserter(chart.y.categories), number_text);
  Series cells{.name = chart.colour_title, .look = Look::cells, .marks = {}};
  for (std::size_t i = 0; i < r.points.size(); ++i) {
    const auto& p = r.points[i];
    const auto x = static_cast<double>(i % columns), y = static_cast<double>(rows - 1 - i / columns);
    cells.marks.push_back({.x = x, .y = y, .size = p.values[metric].value_or(NAN), .key = key_of(r, p), .tip = tip_of(r, p, metric)});
  }
  chart.series.push_back(std::move(cells));
}

}  // namespace

SweepResult sweep(const SweepRequest& request, const std::stop_token& stop, const std::function<void(double)>& progress) {
  SweepResult result{.x = request.x, .y = request.y};
  std::vector<Setting> given;
  try {
    given = parse_settings(request.toml, request.file);
  } catch (const model_spec::Error& e) {
    result.fault = e.what();
    return result;
  }
  result.points = points_of(request);
  const auto count = result.points.size();
  std::atomic<std::size_t> next = 0, done = 0;
  const auto work = [&](bool reports) {
    for (auto i = next++; i < count && !stop.stop_requested(); i = next++) {
      auto& point = result.points[i];
      auto settings = given;
      settings.push_back(setting_of(request.x.key, point.x));
      if (request.y) settings.push_back(setting_of(request.y->key, point.y));
      evaluate(settings, point);
      ++done;
      if (reports) progress(static_cast<double>(done) / static_cast<double>(count));
    }
  };
  {
    std::vector<std::jthread> others;
    for (unsigned core = 1; core < std::thread::hardware_concurrency(); ++core) others.emplace_back(work, false);
    work(true);
  }
  result.stopped = done < count;
  return result;
}

Chart sweep_chart(const SweepResult& r, std::size_t metric) {
  Chart chart;
  chart.title = label(metrics()[metric]);
  chart.empty = emptiness(r, metric);
  if (!chart.empty.empty()) return chart;
  if (const auto without = missing(r, metric); without > 0) chart.title += fmt::format(" ({} of {} points do not run)", without, r.points.size());
  r.y ? draw_cells(r, metric, chart) : draw_line(r, metric, chart);
  return chart;
}

std::string sweep_note(const SweepResult& r) {
  if (!r.fault.empty()) return r.fault;
  const auto bad = std::ranges::count_if(r.points, [](const SweepPoint& p) { return !p.reason.empty(); });
  const auto first = std::ranges::find_if(r.points, [](const SweepPoint& p) { return !p.reason.empty(); });
  if (bad == 0) return {};
  return fmt::format("{} of {} points do not run. {}: {}", bad, r.points.size(), name_of_point(r, *first, " = ", ", "), reason_of(r, *first));
}

std::vector<std::pair<std::string, std::string>> settings_of_key(std::string_view key) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto part : cli::split(key, ';'))
    if (const auto equals = part.find('='); equals != std::string_view::npos) out.emplace_back(part.substr(0, equals), part.substr(equals + 1));
  return out;
}

std::string point_html(const SweepResult& r, std::string_view key) {
  const auto p = std::ranges::find_if(r.points, [&](const SweepPoint& point) { return key_of(r, point) == key; });
  if (p == r.points.end()) return {};
  auto out = fmt::format("<h3>{}</h3>", escaped_html(name_of_point(r, *p, " = ", ", ")));
  if (!p->reason.empty()) out += fmt::format("<p>{}</p>", escaped_html(reason_of(r, *p)));
  out += "<table cellpadding=\"2\">";
  for (std::size_t m = 0; m < metrics().size(); ++m)
    if (const auto v = p->values[m])
      out += fmt::format("<tr><td>{}</td><td align=\"right\">{}</td></tr>", escaped_html(label(metrics()[m])), shown(Cell{*v}, metrics()[m].kind));
  out += "</table>";
  for (const auto line : cli::split(p->configuration, '\n')) out += escaped_html(line) + "<br>";
  return out + fmt::format("<p><a href=\"take:{}\">Use these values in the scenario</a></p>", escaped_html(key));
}

}  // namespace fathom::gui
