// What a sweep varies, and the values it takes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::gui {

// Settings that are worth sweeping, with values to begin with; any other dotted key of a scenario with a number works too.
struct SweepKey {
  std::string_view key, label, values;
};
std::span<const SweepKey> sweep_keys();
std::string sweep_label(std::string_view key);  // the key itself if it is none of these

// `count` values from one end to the other, evenly spaced (in their logarithms). Precondition: count > 0; logarithmic: both ends > 0.
std::vector<double> axis_values(double from, double to, std::size_t count, bool logarithmic);
// Values over more than 20-fold are spread evenly in their logarithms, here and on the axis of a chart.
bool spans_decades(double least, double most);

// "1,2,4k", "1k..128k x2", "0.7..0.95 +0.05", "1k..128k in 8", or several of these with commas between. Sorted, each value once.
// Throws Error{usage}.
constexpr std::size_t most_axis_values = 1000;
std::vector<double> parse_axis_values(std::string_view text);

}  // namespace fathom::gui
