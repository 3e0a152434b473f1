#include <fmt/format.h>

#include "cli/flags.h"
#include "cli/output.h"
#include "cli/tables.h"
#include "cli/verbs.h"

namespace fathom::cli {
namespace {

std::string reason_of(const Estimate& e) {
  if (!e.prefill.reason.empty()) return "prefill: " + e.prefill.reason;
  return e.decode.reason.empty() ? std::string() : "decode: " + e.decode.reason;
}

std::string milliseconds_text(Seconds s) { return shown(Cell{s.value * 1e3}, Kind::real) + " ms"; }

std::string gpus_text(const Estimate& e) {
  if (e.prefill.system == e.decode.system) return fmt::format("{} prefill and {} decode GPUs of {}", e.prefill.gpus, e.decode.gpus, e.decode.system);
  return fmt::format("{} {} for prefill and {} {} for decode", e.prefill.gpus, e.prefill.system, e.decode.gpus, e.decode.system);
}

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

std::string answer_of(const Scenario& s, const Estimate& e, const std::string& missed) {
  if (!e.feasible()) return "does not fit: " + reason_of(e);
  auto text = fmt::format("{}: {} on {}; first token after {}, then {} per token", missed.empty() ? "fits" : "too slow: " + missed, s.model.name, gpus_text(e),
                          milliseconds_text(e.ttft), milliseconds_text(e.tpot));
  if (e.costs) text += fmt::format("; ${} per million output tokens", shown(Cell{e.costs->output}, Kind::usd));
  return text;
}

}  // namespace

Outcome run_estimate(const Request& request) {
  Outcome out;
  const auto effective = effective_settings(all_settings(request, out.remarks));
  const auto s = read_scenario(effective);
  const auto e = estimate(s);
  const auto missed = e.feasible() ? missed_limits(request, e) : std::string();
  Report report{
      .answer = answer_of(s, e, missed), .feasible = e.feasible() && missed.empty(), .tables = phase_tables(s, e), .notes = {}, .csv = comparison_row(s, e)};
  if (e.feasible()) {
    report.tables.push_back(request_table(s, e));
    report.tables.push_back(costs_table(s, e));
  }
  if (request.has("detail")) {
    report.tables.push_back(steps_table("prefill", e.prefill));
    report.tables.push_back(steps_table("decode", e.decode));
  }
  report.notes = notes_on(s, e, effective);
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
