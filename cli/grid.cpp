#include "cli/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/flags.h"

namespace fathom::cli {
namespace {

using namespace model_spec;

constexpr double most = 1 << 24;  // sequences or tokens
constexpr std::int64_t kibi = 1024;

struct Axis {
  std::string_view key;
  double least;
  std::vector<std::int64_t> values;  // until some are given
  bool given = false;
};

[[noreturn]] void refuse(const std::string& message) { throw Error(Failure::usage, "--grid: " + message); }

void read_term(const std::string& term, std::array<Axis, 3>& axes) {
  const auto equals = term.find('=');
  if (equals == std::string::npos) refuse(fmt::format("'{}' is not KEY=V1,V2,...", term));
  const auto key = term.substr(0, equals);
  const auto axis = std::ranges::find(axes, key, &Axis::key);
  if (axis == axes.end()) {
    const auto near = nearest(key, {"sequences", "new", "cached"});
    refuse(fmt::format("'{}' is none of sequences, new, cached{}", key, near ? fmt::format(" (did you mean '{}'?)", *near) : ""));
  }
  if (axis->given) refuse(fmt::format("{} stands twice", key));
  axis->given = true;
  axis->values.clear();
  for (const auto text : split(std::string_view(term).substr(equals + 1), ',')) {
    const auto value = parse_quantity(text);
    if (!value || *value != std::floor(*value)) refuse(fmt::format("{}: '{}' is not a whole number", key, text));
    if (*value < axis->least || *value > most) refuse(fmt::format("{}: {} does not lie between {} and {}", key, text, axis->least, most));
    axis->values.push_back(static_cast<std::int64_t>(*value));
  }
}

std::vector<Group> combinations(const std::vector<std::int64_t>& sequences, const std::vector<std::int64_t>& fresh, const std::vector<std::int64_t>& cached) {
  std::vector<Group> points;
  for (const auto s : sequences)
    for (const auto n : fresh)
      for (const auto c : cached) points.push_back({s, n, c});
  return points;
}

// Of prompts the first chunk, and one behind others.
std::vector<Group> default_points() {
  auto points = combinations({1, 4, 16, 32, 64, 128}, {1}, {4 * kibi, 32 * kibi, 128 * kibi});
  const auto prompts = combinations({1}, {kibi, 4 * kibi, 16 * kibi}, {0, 28 * kibi});
  points.insert(points.end(), prompts.begin(), prompts.end());
  return points;
}

}  // namespace

std::vector<Group> grid_of(std::span<const std::string> terms, const ModelSpec& m) {
  const auto too_long = [&](const Group& g) { return g.new_tokens + g.cached_tokens > m.max_position_embeddings; };
  if (terms.empty()) {
    auto points = default_points();
    std::erase_if(points, too_long);
    return points.empty() ? combinations({1}, {1}, {std::min(m.max_position_embeddings - 1, 4 * kibi)}) : points;
  }
  std::array axes{Axis{"sequences", 1, {1}}, Axis{"new", 1, {1}}, Axis{"cached", 0, {4 * kibi}}};
  for (const auto& term : terms) read_term(term, axes);
  auto points = combinations(axes[0].values, axes[1].values, axes[2].values);
  for (const auto& g : points)
    if (too_long(g))
      refuse(fmt::format("{} cached tokens and {} new ones are more than the {} positions of {}", g.cached_tokens, g.new_tokens, m.max_position_embeddings,
                         m.name));
  return points;
}

}  // namespace fathom::cli
