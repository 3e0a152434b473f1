// The step by operator, and the formulas behind one of them.
#include <fmt/format.h>

#include <algorithm>

#include "cli/tables.h"
#include "model_spec/family.h"
#include "model_spec/formula.h"

namespace fathom::cli {
namespace {

using Row = OperatorTotal;

// Two-batch overlap writes the rows of the second half after those of the first: equal work, so each counts twice.
std::vector<Row> rows_of(const Trace& trace) {
  std::vector<Row> out;
  std::size_t per_half = 0;
  for (const auto& block : trace.blocks) per_half += block.count;
  const double halves = per_half > 0 && trace.steps.size() == 2 * per_half ? 2 : 1;
  for (const auto& block : trace.blocks)
    for (auto i = block.first; i < block.first + block.count; ++i) {
      const double times = halves * static_cast<double>(block.repeats);
      out.push_back({&trace.steps[i], &block, times, times * trace.steps[i].duration});
    }
  return out;
}

std::string shown_us(Seconds s) { return fmt::format("{} us", shown(Cell{s.value * 1e6}, Kind::real)); }

class Explanation {
 public:
  Explanation(const HardwareProfile& profile, const Calibration& calibration, const Row& r, const std::string& phase_name)
      : profile_(profile), calibration_(calibration), row_(r) {
    const auto& t = *r.step->predicted;
    heading_ = fmt::format("{} ({}, {}): {} times {}, bound by {}, {}", r.step->label, phase_name, r.block->name, r.times, shown_us(r.step->duration),
                           name_of(t.bound), source_of(t));
  }

  std::vector<Record> records() {
    for (const auto& term : explain(row_.step->op)) add(term.term, term.symbolic, term.filled, term.value, term.unit, "");
    times();
    return std::move(out_);
  }

 private:
  void add(const std::string& term, const std::string& symbolic, const std::string& filled, double value, const std::string& unit, const std::string& source) {
    out_.push_back({"",
                    {heading_, term, symbolic, filled, fmt::format("{} {}", unit == "us" ? fmt::format("{:.6g}", value) : number_text(value), unit), value,
                     unit, source.empty() ? Cell{} : Cell{source}, block_name(*row_.block), std::string(row_.step->label)}});
  }
  void time(const char* term, Seconds value, const std::string& symbolic, const std::string& filled, const std::string& source) {
    if (value > Seconds{}) add(term, symbolic, filled, value.value * 1e6, "us", source);
  }
  [[nodiscard]] std::string source(const char* key) const {
    const auto found = profile_.sources.find(key);
    return found == profile_.sources.end() ? std::string() : found->second;
  }

  void times() {
    const auto& t = *row_.step->predicted;
    const auto c = cost(row_.step->op);
    const auto f = family(row_.step->op);
    const auto* e = calibration_.find(f, t.arithmetic);
    const auto measured = e ? fmt::format("{}: {}", name_of(e->provenance), e->source) : std::string();
    const double flops = c.total_matrix_flops(), bytes = c.hbm_bytes();
    if (t.compute > Seconds{} && profile_.matrix_rate[static_cast<std::size_t>(t.arithmetic)]) {
      const auto peak = profile_.rate(t.arithmetic).value;
      time("time_compute", t.compute, fmt::format("matrix_flops / ({}_rate * fraction)", name_of(t.arithmetic)),
           fmt::format("{} / ({} * {:.4g})", number_text(flops), number_text(peak), flops / peak / t.compute.value), measured);
    }
    if (t.memory > Seconds{}) {
      const auto peak = profile_.bandwidth().value;
      time("time_memory", t.memory, "(hbm_read_bytes + hbm_write_bytes) / (hbm_bandwidth * fraction)",
           fmt::format("{} / ({} * {:.4g})", number_text(bytes), number_text(peak), bytes / peak / t.memory.value),
           fmt::format("{}; bandwidth: datasheet: {}", measured, source("hbm_GBps")));
    }
    if (t.vector > Seconds{})
      time("time_vector", t.vector, "vector_flops / vector_rate", fmt::format("{} / {}", number_text(c.vector_flops), number_text(profile_.vector().value)),
           "datasheet: " + source("fp32_vector_TFLOPS"));
    time("time_wire", t.wire, "sent_bytes / link_rate", fmt::format("{} / {:.6g}", number_text(c.sent_bytes), c.sent_bytes / t.wire.value), measured);
    time("time_fixed", t.fixed, "cost of a kernel or an exchange whatever its size", fmt::format("{:.6g}", t.fixed.value * 1e6), "");
    const auto longest = t.total - t.fixed;
    time("time_total", t.total, "time_fixed + max(time_compute, time_memory, time_vector, time_wire)",
         fmt::format("{:.6g} + {:.6g}", t.fixed.value * 1e6, longest.value * 1e6), "");
    time("speed_of_light", t.floor, "the longest of these at the peaks", fmt::format("{:.6g}", t.floor.value * 1e6), "");
  }

  const HardwareProfile& profile_;
  const Calibration& calibration_;
  Row row_;
  std::string heading_;
  std::vector<Record> out_;
};

[[noreturn]] void refuse_label(const std::string& label, const std::vector<Row>& rows) {
  std::vector<std::string> known;
  for (const auto& r : rows)
    if (std::ranges::find(known, r.step->label) == known.end()) known.emplace_back(r.step->label);
  const auto near = nearest(label, known);
  throw Error(Failure::usage, fmt::format("--explain: there is no step '{}'{}; steps: {}", label, near ? fmt::format(" (did you mean '{}'?)", *near) : "",
                                          fmt::join(known, ", ")));
}

// Two rows as one, under the step that runs more often.
Row together(const Row& a, const Row& b) {
  const auto& more = b.times > a.times ? b : a;
  return {more.step, more.block, a.times + b.times, a.total + b.total};
}

bool same_formulas(const Op& a, const Op& b) { return std::ranges::equal(explain(a), explain(b), {}, &Explained::filled, &Explained::filled); }

// A row for each different operator of that label. Those that differ in nothing but the block are one, under the block that repeats most.
std::vector<Row> chosen(const std::vector<Row>& rows, const std::string& label) {
  if (label.empty()) return rows.empty() ? std::vector<Row>{} : std::vector{*std::ranges::max_element(rows, {}, &Row::total)};
  std::vector<Row> out;
  for (const auto& r : rows) {
    if (r.step->label != label && op_name(r.step->op) != label) continue;
    const auto same = std::ranges::find_if(out, [&](const Row& o) { return o.step->label == r.step->label && same_formulas(o.step->op, r.step->op); });
    if (same == out.end()) out.push_back(r);
    else *same = together(*same, r);
  }
  return out;
}

Table formulas_table() {
  return {.key = "explain",
          .title = {},
          .form = Form::paragraphs,
          .fields = {{"about", "", Kind::text},
                     {"term", "", Kind::text},
                     {"symbolic", "formula", Kind::text},
                     {"filled", "values", Kind::text},
                     {"result", "result", Kind::text},
                     {"value", "", Kind::real, true},
                     {"unit", "", Kind::text, true},
                     {"source", "source", Kind::text},
                     {"block", "", Kind::text, true},
                     {"step", "", Kind::text, true}},
          .records = {}};
}

}  // namespace

std::string block_name(const TracedBlock& block) {
  constexpr std::string_view layer = " layer";
  const auto name = block.name;
  return std::string(name.ends_with(layer) ? name.substr(0, name.size() - layer.size()) : name);
}

std::vector<OperatorTotal> operator_totals(const Trace& trace) {
  std::vector<Row> out;
  for (const auto& r : rows_of(trace)) {
    const auto same = std::ranges::find_if(
        out, [&](const Row& o) { return o.block->name == r.block->name && o.step->label == r.step->label && o.step->id.group == r.step->id.group; });
    if (same == out.end()) out.push_back(r);
    else *same = together(*same, r);
  }
  return out;
}

Table steps_table(const std::string& phase, const PhaseEstimate& e) {
  Table t{.key = phase + "_steps",
          .title = fmt::format("{} step by operator (first stage)", phase == "prefill" ? "Prefill" : "Decode"),
          .form = Form::rows,
          .fields = {{"block", "block", Kind::text},
                     {"step", "step", Kind::text},
                     {"operator", "operator", Kind::text, true},
                     {"time_us", "us each", Kind::real},
                     {"times", "times", Kind::count},
                     {"share_percent", "%", Kind::percent},
                     {"bound", "bound", Kind::text},
                     {"speed_of_light_percent", "% SoL", Kind::percent},
                     {"rate_from", "source", Kind::text},
                     {"inside_measured_domain", "", Kind::text, true}},
          .records = {}};
  const auto rows = operator_totals(e.trace);
  Seconds sum;
  for (const auto& r : rows) sum += r.total;
  for (const auto& r : rows) {
    const auto& p = *r.step->predicted;
    if (p.total <= Seconds{}) continue;
    t.records.push_back({"",
                         {block_name(*r.block), std::string(r.step->label), std::string(op_name(r.step->op)), 1e6 * r.total.value / r.times,
                          static_cast<std::int64_t>(r.times), 100 * (r.total / sum), std::string(name_of(p.bound)), 100 * p.floor.value / p.total.value,
                          std::string(name_of(p.provenance)) + (p.inside ? "" : "*"), p.inside}});
  }
  return t;
}

Table explain_table(const Scenario& s, const Estimate& e, const std::string& label) {
  auto t = formulas_table();
  std::vector<Row> all;
  for (const auto& [name, phase, estimated] : {std::tuple{"prefill", &s.prefill, &e.prefill}, {"decode", &s.decode, &e.decode}}) {
    const auto rows = rows_of(estimated->trace);
    if (rows.empty()) continue;
    const auto profile = hardware_profiles::find_profile(phase->system);
    const auto calibration = calibration_of(s, profile);
    for (const auto& r : chosen(rows, label)) std::ranges::move(Explanation(profile, calibration, r, name).records(), std::back_inserter(t.records));
    all.insert(all.end(), rows.begin(), rows.end());
  }
  if (t.records.empty() && !all.empty()) refuse_label(label, all);
  return t;
}

Table explain_operator(const HardwareProfile& profile, const Calibration& calibration, const std::string& phase_name, const OperatorTotal& o) {
  auto t = formulas_table();
  t.records = Explanation(profile, calibration, o, phase_name).records();
  return t;
}

}  // namespace fathom::cli
