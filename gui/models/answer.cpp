#include "gui/models/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "model_spec/error.h"

namespace fathom::gui {
namespace {

// One line of an Error: "file:line: key: message", "file:line:column: message", "origin: message" or a message alone.
Fault fault_of(std::string_view line, const std::string& file) {
  Fault f;
  if (line.starts_with(file + ":")) {
    line.remove_prefix(file.size() + 1);
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), f.line);
    line.remove_prefix(error == std::errc{} ? static_cast<std::size_t>(rest - line.data()) : 0);
    line.remove_prefix(std::min(line.find(": "), line.size()));
    line.remove_prefix(std::min<std::size_t>(2, line.size()));
  }
  const auto end = line.find(": ");
  const auto word = line.substr(0, end);
  const bool is_key =
      end != std::string_view::npos && word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == std::string_view::npos;
  if (is_key) {
    f.key = word;
    line.remove_prefix(end + 2);
  }
  f.message = line;
  return f;
}

std::vector<Fault> faults_of(std::string_view text, const std::string& file) {
  std::vector<Fault> out;
  for (std::size_t end = 0; end != std::string_view::npos; text.remove_prefix(end == std::string_view::npos ? 0 : end + 1)) {
    end = text.find('\n');
    out.push_back(fault_of(text.substr(0, end), file));
  }
  return out;
}

System system_of(const Scenario& s, const Phase& phase) {
  auto profile = hardware_profiles::find_profile(phase.system);
  auto calibration = calibration_of(s, profile);
  return {std::move(profile), std::move(calibration)};
}

}  // namespace

std::string line_of(const Fault& f) {
  const auto line = f.line > 0 ? fmt::format("line {}: ", f.line) : std::string();
  return line + (f.key.empty() ? "" : f.key + ": ") + f.message;
}

std::string Answer::nothing(PhaseName p) const {
  if (!faults.empty()) return line_of(faults.front());
  if (!estimate) return "no answer yet";
  const auto& e = estimated(p);
  return e.reason.empty() ? std::string() : fmt::format("{} does not fit: {}", name_of(p), e.reason);
}

Answer answer(std::string_view toml, const std::string& file) {
  Answer a;
  try {
    a.settings = effective_settings(parse_settings(toml, file));
    auto scenario = read_scenario(a.settings);
    a.systems = {system_of(scenario, scenario.prefill), system_of(scenario, scenario.decode)};
    a.scenario = std::move(scenario);
    a.estimate = estimate(*a.scenario);
    a.report = cli::estimate_report(*a.scenario, *a.estimate, a.settings);
    a.report.tables.push_back(cli::settings_table(a.settings));
  } catch (const model_spec::Error& e) {
    a.estimate.reset();
    a.faults = faults_of(e.what(), file);
  }
  return a;
}

std::string operator_key(PhaseName p, const cli::OperatorTotal& o) {
  auto key = fmt::format("{}/{}/{}", name_of(p), cli::block_name(*o.block), o.step->label);
  return o.step->id.group == 0 ? key : fmt::format("{}#{}", key, o.step->id.group);
}

std::optional<cli::OperatorTotal> find_operator(const Answer& a, std::string_view key) {
  if (!a.estimate) return std::nullopt;
  for (const auto p : {PhaseName::prefill, PhaseName::decode})
    for (const auto& o : cli::operator_totals(a.estimated(p).trace))
      if (operator_key(p, o) == key) return o;
  return std::nullopt;
}

std::string operator_tip(const cli::OperatorTotal& o, Seconds step) {
  auto tip = fmt::format("{} ({})\n{} us each, {} in a step: {} us, {} % of it", o.step->label, cli::block_name(*o.block),
                         shown(Cell{1e6 * o.total.value / o.times}, Kind::real), o.times, shown(Cell{1e6 * o.total.value}, Kind::real),
                         shown(Cell{100 * (o.total / step)}, Kind::percent));
  if (const auto& t = o.step->predicted)
    tip += fmt::format("\nbound by {}; {} % of speed of light\nrate: {}", name_of(t->bound),
                       shown(Cell{t->total > Seconds{} ? 100 * (t->floor / t->total) : 0}, Kind::percent), cli::source_of(*t));
  return tip;
}

}  // namespace fathom::gui
