#include "gui/models/key_figures.h"

#include <fmt/format.h>

#include "gui/models/html.h"
#include "gui/models/metrics.h"

namespace fathom::gui {
namespace {

// Nine digits: enough to reckon with, no noise.
std::string digits(double v) { return fmt::format("{:.9g}", v); }
std::string ms(Seconds s) { return digits(1e3 * s.value); }

std::string sources(const PhaseEstimate& e) {
  std::string out;
  for (const auto p : e.provenance) out += (out.empty() ? "" : ", ") + std::string(model_spec::name_of(p));
  return out;
}

class Figures {
 public:
  explicit Figures(const Answer& a) : a_(a), s_(*a.scenario), e_(*a.estimate) {}

  std::vector<KeyFigure> take() {
    times();
    rates();
    costs();
    machines();
    return std::move(out_);
  }

 private:
  struct Formula {
    const char* symbolic;
    std::string filled;
  };
  void add(std::string_view id, std::string_view name, std::string_view unit, Kind kind, double value, const PhaseEstimate* rests_on, Formula formula) {
    out_.push_back({.key = fmt::format("figure/{}", id),
                    .label = std::string(name),
                    .unit = std::string(unit),
                    .value = shown(Cell{value}, kind),
                    .number = value,
                    .source = rests_on ? sources(*rests_on) : std::string(),
                    .inside = !rests_on || rests_on->inside,
                    .symbolic = formula.symbolic,
                    .filled = std::move(formula.filled)});
  }
  void add(std::string_view metric, const PhaseEstimate& rests_on, Formula formula) {
    const auto& m = *find_metric(metric);
    add(m.id, m.name, m.unit, m.kind, m.value(a_).value(), &rests_on, std::move(formula));
  }

  void times() {
    add("ttft", e_.prefill,
        {"first step through all stages + steps * mean interval - slowest stage of the first step",
         fmt::format("{} + {} * {} - {}", ms(e_.first_latency), e_.prompt_steps, ms(e_.prefill.interval), ms(e_.first_interval))});
    add("tpot", e_.decode, {"decode step / tokens per step", fmt::format("{} / {}", ms(e_.decode.step), digits(e_.tokens_per_step))});
  }

  void rates() {
    const auto& d = e_.decode;
    add("tokens_per_user", d, {"1000 / time per output token", fmt::format("1000 / {}", ms(e_.tpot))});
    add("tokens_per_decode_gpu", d,
        {"sequences per rank * dp * micro batches / time per output token / GPUs",
         fmt::format("{} * {} * {} / {} / {}", d.batch.sequences(), d.layout.dp, s_.decode.layout.micro_batches, digits(e_.tpot.value), d.gpus)});
  }

  void costs() {
    if (!e_.costs) return;
    const auto used = s_.prices.utilisation;
    add("usd_output", e_.decode,
        {"USD per GPU-hour / 3600 / utilisation / (output tokens/s per GPU) * 1e6",
         fmt::format("{} / 3600 / {} / {} * 1e6", *e_.usd_per_gpu_hour, used, digits(e_.decode.tokens_per_second_per_gpu))});
    add("usd_input", e_.prefill,
        {"GPU-seconds of a token without cached prefix * USD per GPU-hour / 3600 / utilisation * 1e6",
         fmt::format("{} * {} / 3600 / {} * 1e6", digits(e_.gpu_seconds_per_new_token), *e_.prefill_usd_per_gpu_hour, used)});
  }

  void machines() {
    const auto& p = e_.prefill;
    const auto& d = e_.decode;
    add("unit_gpus", "GPUs, one unit of each phase", "", Kind::count, static_cast<double>(p.gpus + d.gpus), nullptr,
        {"GPUs of one prefill unit + GPUs of one decode unit", fmt::format("{} + {}", p.gpus, d.gpus)});
    const auto spare = [](const PhaseEstimate& e) { return e.fit.limit - e.fit.needed(); };
    const bool of_prefill = spare(p) < spare(d);
    const auto& fuller = of_prefill ? p : d;
    add("free_memory", of_prefill ? "Free memory of a prefill GPU" : find_metric("free_memory")->name, "GB", Kind::fixed, spare(fuller).value / 1e9, nullptr,
        {"limit - needed, on the fullest GPU", fmt::format("{} - {}", digits(fuller.fit.limit.value / 1e9), digits(fuller.fit.needed().value / 1e9))});
  }

  const Answer& a_;
  const Scenario& s_;
  const Estimate& e_;
  std::vector<KeyFigure> out_;
};

std::string explanation(const KeyFigure& f) {
  auto out =
      fmt::format("<h3>{}: {}{}{}</h3><p>= {}</p>", escaped_html(f.label), escaped_html(f.value), f.unit.empty() ? "" : " ", f.unit, escaped_html(f.symbolic));
  out += fmt::format("<p>= <code>{}</code></p>", escaped_html(f.filled));
  if (!f.source.empty()) out += fmt::format("<p>Rests on rates that are {}{}.</p>", f.source, f.inside ? "" : "; some are used outside the measured domain");
  return out;
}

// The paragraphs of cli::explain_operator: a heading, then term, formula, values, result and source.
std::string explanation(const Table& t) {
  std::string out;
  const auto text = [](const Cell& c) { return escaped_html(shown(c, Kind::text)); };
  for (const auto& r : t.records) {
    if (out.empty()) out = fmt::format("<h3>{}</h3>", text(r.cells[0]));
    out += fmt::format("<p><b>{}</b> = {}<br>{} = <code>{}</code>", text(r.cells[1]), text(r.cells[4]), text(r.cells[2]), text(r.cells[3]));
    if (!std::holds_alternative<std::monostate>(r.cells[7])) out += fmt::format("<br><i>{}</i>", text(r.cells[7]));
    out += "</p>";
  }
  return out;
}

}  // namespace

std::vector<KeyFigure> key_figures(const Answer& a) {
  if (!a.estimate || !a.estimate->feasible()) return {};
  return Figures(a).take();
}

std::string explanation(const Answer& a, std::string_view key) {
  for (const auto& f : key_figures(a))
    if (f.key == key) return explanation(f);
  const auto found = find_operator(a, key);
  if (!found) return {};
  const auto phase = key.starts_with("prefill/") ? PhaseName::prefill : PhaseName::decode;
  return explanation(cli::explain_operator(a.system(phase).profile, a.system(phase).calibration, std::string(name_of(phase)), *found));
}

}  // namespace fathom::gui
