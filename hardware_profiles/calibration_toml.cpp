// Reads a calibration: how near the kernels of each family come to the roofs, as data.
#include <fmt/core.h>

#include <cmath>

#include "hardware_profiles/profile.h"
#include "model_spec/toml.h"

namespace fathom::hardware_profiles {

namespace {

constexpr double least_fraction = 1e-6, most_fraction = 1.05;  // above 1: the datasheet's clock is not the highest
constexpr double micro = 1e-6;

std::vector<std::string> family_words() { return {family_names.begin(), family_names.end()}; }
std::vector<std::string> provenance_words() {
  std::vector<std::string> words;
  for (const auto p : {Provenance::datasheet, Provenance::published, Provenance::calibrated, Provenance::transferred, Provenance::assumed})
    words.emplace_back(name_of(p));
  return words;
}
std::vector<std::string> arithmetic_words() {
  std::vector<std::string> words;
  for (const auto& entry : arithmetic_names) words.emplace_back(entry.name);
  return words;
}

Curve read_points(TomlReader& t, std::string_view x_key) {
  auto x = t.numbers(x_key, 1);
  const auto fraction = t.numbers("fraction", least_fraction, most_fraction);
  if (x.empty() || fraction.empty()) {
    if (t.has(x_key) && t.has("fraction")) t.problem("", fmt::format("needs at least one point in {} and fraction", x_key));
    return Curve(1);
  }
  bool increasing = x.size() == fraction.size();
  if (!increasing) t.problem("fraction", fmt::format("has {} values, {} has {}", fraction.size(), x_key, x.size()));
  for (std::size_t i = 1; increasing && i < x.size(); ++i) increasing = x[i - 1] < x[i];
  if (x.size() == fraction.size() && !increasing) t.problem(x_key, "must increase");
  if (!increasing) return Curve(1);
  for (double& v : x) v = std::log2(v);
  return Curve(std::move(x), fraction);
}

// A number for a constant, or a table of points {<x_key> = [...], fraction = [...]}.
Curve read_curve(TomlReader& t, const TomlValue& table, std::string_view key, std::string_view x_key) {
  const TomlValue* value = table.find(key);
  if (value == nullptr || value->table() == nullptr) return Curve(t.number(key, least_fraction, most_fraction));
  Curve curve;
  t.table(key, [&](TomlReader& points) { curve = read_points(points, x_key); });
  return curve;
}

// Norms, top-k and the like do no matrix products: they have no fraction of the matrix rate.
bool multiplies(Family f) { return f != Family::elementwise && f != Family::top_k && !is_collective(f); }

void read_roofs(TomlReader& t, const TomlValue& table, Family family, Efficiency& e) {
  if (is_collective(family)) {
    e.nvlink = t.number_or("nvlink", 1, least_fraction, most_fraction);
    e.nic = t.number_or("nic", 1, least_fraction, most_fraction);
    e.per_log2_rank = Seconds{t.number_or("per_log2_rank_us", 0) * micro};
    e.sm_share = t.number_or("sm_share", 0, 0, 1);
    return;
  }
  if (multiplies(family)) e.compute = read_curve(t, table, "compute", "flops");
  e.memory = read_curve(t, table, "memory", "bytes");
}

void read_origin(TomlReader& t, Efficiency& e) {
  e.provenance = static_cast<Provenance>(t.word("provenance", provenance_words()));
  e.source = t.string("source");
  if (t.has("source") && e.source.empty()) t.problem("source", "must say who measured, and on what");
  const std::int64_t samples = t.integer_or("samples", 0, 1);
  if (samples > 0) e.source += fmt::format(" ({} {})", samples, samples == 1 ? "sample" : "samples");
  e.transferred_from = t.string_or("transferred_from", "");
  const bool transferred = e.provenance == Provenance::transferred;
  if (transferred && e.transferred_from.empty()) t.problem("transferred_from", "is missing: which device was it measured on?");
  if (!transferred && t.has("transferred_from")) t.problem("transferred_from", "stands only with provenance = \"transferred\"");
}

void read_family(TomlReader& t, const TomlValue& table, Calibration& c) {
  const std::size_t family = t.word("family", family_words());
  if (!family_from(t.string_or("family", ""))) {  // said already; what the other keys should be depends on it
    for (const auto& key : t.other_keys()) static_cast<void>(t.has(key));
    return;
  }
  const std::size_t arithmetic = t.word_or("arithmetic", arithmetic_words(), static_cast<std::size_t>(Arithmetic::fp32));
  Efficiency e;
  read_roofs(t, table, static_cast<Family>(family), e);
  e.fixed = Seconds{t.number("fixed_us") * micro};
  read_origin(t, e);
  auto& entry = c.entries[family][arithmetic];
  if (entry) t.problem("family", "stands twice with this arithmetic");
  entry = std::move(e);
}

}  // namespace

Calibration read_calibration(std::string_view toml, const std::string& file) {
  const TomlValue tree = parse_toml(toml, file);
  Problems problems;
  TomlReader root(tree, file, "", problems);
  Calibration c;
  c.origin = file;
  root.integer("schema", 1, 1);
  c.name = root.string("name");
  c.kernel_set = root.string("kernel_set");
  c.date = root.string("date");
  c.versions = root.string("versions");
  root.tables("family", [&](TomlReader& t, std::size_t i) { read_family(t, (*tree.find("family")->array())[i], c); });
  if (!root.has("family")) root.problem("family", "is missing: a calibration has at least one [[family]]");
  root.finish();
  problems.throw_if_any();
  return c;
}

}  // namespace fathom::hardware_profiles
