// A scenario with one or two of its settings varied: what every point costs, how fast it is, whether it fits.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gui/models/answer.h"
#include "gui/models/chart.h"

namespace fathom::gui {

struct SweepAxis {
  std::string key;  // dotted key of a scenario
  std::vector<double> values{};
};

struct SweepRequest {
  std::string toml, file;  // as answer() takes them
  SweepAxis x;
  std::optional<SweepAxis> y{};
};
constexpr std::size_t most_sweep_points = 10'000;

struct SweepPoint {
  double x = 0, y = 0;
  std::vector<std::optional<double>> values{};  // in the order of metrics()
  std::string configuration{};                  // machines, layouts, batches: lines
  std::string reason{};                         // why the point does not run; empty: it does
};

struct SweepResult {
  SweepAxis x;
  std::optional<SweepAxis> y{};
  std::vector<SweepPoint> points{};  // x varies fastest
  std::string fault{};               // of the scenario's text; there are no points then
  bool stopped = false;              // some points are not computed
};

// Runs on all cores. `progress` is called on this thread only, with the share that is done. The same request gives the same result.
SweepResult sweep(const SweepRequest&, const std::stop_token&, const std::function<void(double)>& progress);

// A line over x, or a heat map over both, of all points: the value of one that does not run is NAN and its tip says why. metric: index into
// metrics(). A point's key is what to set: "workload.isl=8000;decode.batch=64", dotted keys of a scenario and TOML numbers, x first.
Chart sweep_chart(const SweepResult&, std::size_t metric);
// How many points do not run, and why the first one does not; empty: all run.
std::string sweep_note(const SweepResult&);
// All figures of the point with a key, its configuration, and a link "take:<key>", as HTML of QTextDocument's kind; empty: there is none.
std::string point_html(const SweepResult&, std::string_view key);
// The settings of a point's key: dotted key and TOML literal of each; none of any other key.
std::vector<std::pair<std::string, std::string>> settings_of_key(std::string_view key);

}  // namespace fathom::gui
