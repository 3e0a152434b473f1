#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/output.h"
#include "cli/service_curve.h"
#include "cli/tables.h"
#include "cli/verbs.h"
#include "simulator/cost_curve.h"

namespace fathom::cli {
namespace {

const std::vector<std::int64_t> positions{0, 2048, 4096, 4989, 8192, 16384, 32768, 65536, 98304, 131071};

Table curve_table(const Scenario& s, const ServiceCurve& c, const std::vector<CurvePoint>& points) {
  Table t{.key = c.name + "_curve",
          .title = fmt::format("{}: USD per million tokens at each position", c.phase == CurvePhase::prefill ? "Prefill (input)" : "Decode (output)"),
          .form = Form::rows,
          .fields = {{"position", "position", Kind::count},
                     {"usd_per_mtok", "USD/Mtok", Kind::usd},
                     {"published_usd_per_mtok", "published", Kind::usd},
                     {"position_independent", "every token", Kind::usd},
                     {"attention", "attention", Kind::usd},
                     {"index", "index", Kind::usd}},
          .records = {}};
  const auto published = published_curve(s.model.name, c.phase);
  for (const auto& p : points) {
    // Published points end at 128K; ours at the last token before.
    const auto near = std::ranges::find_if(published, [&](const PublishedPoint& q) { return std::abs(q.position - p.position) <= 1; });
    t.records.push_back(
        {"", {p.position, p.usd_per_million, near == published.end() ? Cell{} : Cell{near->usd_per_million}, p.position_independent, p.attention, p.index}});
  }
  return t;
}

Cell percent_off(double ours, double theirs) { return 100 * (ours / theirs - 1); }

void add_error(Table& t, const std::string& name, std::int64_t batch, const std::vector<CurvePoint>& points, const std::vector<PublishedPoint>& published) {
  const auto e = compare(points, published);
  const bool known = !published.empty();
  t.records.push_back(
      {"",
       {name, batch, e.intercept, known ? Cell{e.published_intercept} : Cell{}, known ? percent_off(e.intercept, e.published_intercept) : Cell{}, e.slope,
        known ? Cell{e.published_slope} : Cell{}, known ? percent_off(e.slope, e.published_slope) : Cell{}}});
}

// The straight part of both curves: intercept at position 0 and slope over 128K. The decode intercept hangs on the batch, so three are shown.
Table errors_table(const Scenario& s, const std::vector<ServiceCurve>& curves) {
  Table t{.key = "lines",
          .title = "Line through the points from 8,192 on: USD/Mtok at 0, and per 128K",
          .form = Form::rows,
          .fields = {{"phase", "phase", Kind::text},
                     {"batch", "batch", Kind::count},
                     {"intercept_usd_per_mtok", "at 0", Kind::usd},
                     {"published_intercept_usd_per_mtok", "published", Kind::usd},
                     {"intercept_error_percent", "error, %", Kind::percent},
                     {"slope_usd_per_mtok_per_128k", "slope", Kind::usd},
                     {"published_slope_usd_per_mtok_per_128k", "published", Kind::usd},
                     {"slope_error_percent", "error, %", Kind::percent}},
          .records = {}};
  for (const auto& c : curves) {
    const auto published = published_curve(s.model.name, c.phase);
    if (c.phase == CurvePhase::prefill) {
      add_error(t, c.name, c.service.batch, points_of(s.model, c, positions), published);
      continue;
    }
    for (const double factor : {0.5, 1.0, 2.0}) {
      auto other = c;
      other.service.batch = std::max<std::int64_t>(1, std::llround(factor * static_cast<double>(c.service.batch)));
      add_error(t, c.name, other.service.batch, points_of(s.model, other, positions), published);
    }
  }
  return t;
}

std::string service_note(const ServiceCurve& c) {
  return fmt::format(
      "{} service, fixed beforehand: {} on {} with {} redundant experts, {} {} a rank, overlap {}, {} drafts, mean context {} tokens, ${:.2f} per GPU-hour, "
      "calibration {}",
      c.name, label(c.service.layout), c.profile.name, c.service.layout.redundant_experts, c.service.batch,
      c.phase == CurvePhase::prefill ? "tokens" : "sequences", overlap_names[static_cast<std::size_t>(c.service.policy.overlap)], c.service.policy.mtp_depth,
      c.service.mean_context, c.usd_per_gpu_hour, c.calibration.name);
}

Report curve_report(const Scenario& s, const std::vector<Setting>& effective) {
  Report report{.answer = {}, .tables = {}, .notes = {}, .csv = {}};
  std::vector<ServiceCurve> curves;
  for (const auto phase : {CurvePhase::prefill, CurvePhase::decode}) {
    curves.push_back(service_curve(s, effective, phase));
    const auto& c = curves.back();
    if (const auto reason = check(s.model, c.service.layout)) {
      report.feasible = false;
      report.answer = fmt::format("does not fit: {}: {}", c.name, *reason);
      return report;
    }
    const auto points = points_of(s.model, c, positions);
    report.tables.push_back(curve_table(s, c, points));
    report.answer += fmt::format("{}${} at position 0 and ${} at {} per million {} tokens", report.answer.empty() ? s.model.name + ": " : "; ",
                                 shown(Cell{points.front().usd_per_million}, Kind::usd), shown(Cell{points.back().usd_per_million}, Kind::usd),
                                 points.back().position, phase == CurvePhase::prefill ? "input" : "output");
    report.notes.push_back(service_note(c));
  }
  report.tables.push_back(errors_table(s, curves));
  if (!published_curve(s.model.name, CurvePhase::decode).empty()) report.notes.emplace_back(published_curve_note);
  Table csv = report.tables.front();
  csv.key = "curve";
  for (auto& r : csv.records) r.name = "prefill";
  for (auto r : report.tables[1].records) csv.records.push_back({"decode", std::move(r.cells)});
  report.csv = std::move(csv);
  return report;
}

Report point_report(const Scenario& s, const std::vector<Setting>& effective) {
  const auto e = estimate(s);
  Report report{.answer = {}, .feasible = e.feasible(), .tables = {costs_table(s, e)}, .notes = notes_on(s, e, effective), .csv = {}};
  if (!e.feasible()) {
    report.answer = fmt::format("does not fit: {}", e.prefill.reason.empty() ? "decode: " + e.decode.reason : "prefill: " + e.prefill.reason);
  } else if (e.costs) {
    const auto usd = [](double v) { return fmt::format("${}", shown(Cell{v}, Kind::usd)); };
    report.answer =
        fmt::format("{} per million input tokens missed by the cache, {} cached, {} per million output tokens: {} with {} input and {} output tokens",
                    usd(e.costs->input_miss), usd(e.costs->input_hit), usd(e.costs->output), s.model.name, s.workload.isl, s.workload.osl);
  } else {
    throw Error(Failure::usage, fmt::format("{} has no price of a GPU-hour: give --price", s.decode.system));
  }
  report.csv = comparison_row(s, e);
  return report;
}

}  // namespace

Outcome run_cost(const Request& request) {
  Outcome out;
  const auto effective = effective_settings(all_settings(request, out.remarks));
  const auto s = read_scenario(effective);
  auto report = request.has("curve") ? curve_report(s, effective) : point_report(s, effective);
  report.tables.push_back(settings_table(effective));
  out.data = rendered(report, request);
  out.exit = report.feasible ? Exit::ok : Exit::infeasible;
  return out;
}

}  // namespace fathom::cli
