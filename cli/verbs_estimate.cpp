#include <fmt/format.h>

#include "cli/flags.h"
#include "cli/output.h"
#include "cli/tables.h"
#include "cli/verbs.h"

namespace fathom::cli {
namespace {

// Limits are given in ms, as planners do, or with a unit.
std::optional<Seconds> limit_of(const Request& request, const std::string& name) {
  if (!request.has(name)) return std::nullopt;
  const auto text = request.option(name);
  const auto value = parse_quantity(text);
  if (!value || *value <= 0) throw Error(Failure::usage, fmt::format("--{}: '{}' is not a time; 50, 50ms, 2s are", name, text));
  const bool has_unit = text.ends_with('s') || text.ends_with("min");
  return Seconds{has_unit ? *value : *value / 1e3};
}

std::string missed_limits(const Request& request, const Estimate& e) {
  std::string out;
  for (const auto& [name, what, value] : {std::tuple{"ttft", "time to first token", e.ttft}, {"tpot", "time per output token", e.tpot}}) {
    const auto limit = limit_of(request, name);
    if (limit && value > *limit)
      out += fmt::format("{}{} of {} is over the limit of {}", out.empty() ? "" : "; ", what, milliseconds_text(value), milliseconds_text(*limit));
  }
  return out;
}

}  // namespace

Outcome run_estimate(const Request& request) {
  Outcome out;
  const auto effective = effective_settings(all_settings(request, out.remarks));
  const auto s = read_scenario(effective);
  const auto e = estimate(s);
  const auto missed = e.feasible() ? missed_limits(request, e) : std::string();
  auto report = estimate_report(s, e, effective, missed);
  if (request.has("detail")) {
    report.tables.push_back(steps_table("prefill", e.prefill));
    report.tables.push_back(steps_table("decode", e.decode));
  }
  if (request.has("explain")) {
    auto explained = explain_table(s, e, request.option("explain"));
    if (request.option("format", "table") != "json") report = {.answer = report.answer, .feasible = report.feasible, .tables = {}, .notes = {}, .csv = {}};
    report.tables.push_back(std::move(explained));
  }
  report.tables.push_back(settings_table(effective));
  out.data = rendered(report, request);
  out.exit = report.feasible ? Exit::ok : Exit::infeasible;
  return out;
}

}  // namespace fathom::cli
