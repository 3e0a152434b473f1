#include "gui/models/key_figures.h"

#include <fmt/format.h>

#include <algorithm>

#include "gui/models/html.h"

namespace fathom::gui {
namespace {

std::string number(double v) { return fmt::format("{}", v); }

std::string sources(const PhaseEstimate& e) {
  std::string out;
  for (const auto p : e.provenance) out += (out.empty() ? "" : ", ") + std::string(model_spec::name_of(p));
  return out;
}

class Figures {
 public:
  explicit Figures(const Answer& a) : s_(*a.scenario), e_(*a.estimate) {}

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
  void add(const char* key, const char* label, const char* unit, Kind kind, double value, const PhaseEstimate* rests_on, Formula formula) {
    out_.push_back({.key = fmt::format("figure/{}", key),
                    .label = label,
                    .unit = unit,
                    .value = shown(Cell{value}, kind),
                    .number = value,
                    .source = rests_on ? sources(*rests_on) : std::string(),
                    .inside = !rests_on || rests_on->inside,
                    .symbolic = formula.symbolic,
                    .filled = std::move(formula.filled)});
  }

  void times() {
    const auto& p = e_.prefill;
    const double ttft = 1e3 * e_.ttft.value, interval = 1e3 * p.interval.value;
    const auto first = ttft - interval * static_cast<double>(steps_of_prompt() - 1);
    add("ttft", "time to first token", "ms", Kind::real, ttft, &p,
        {"first step through all stages + (steps of the prompt - 1) * interval", fmt::format("{} + ({} - 1) * {}", first, steps_of_prompt(), interval)});
    add("tpot", "time per output token", "ms", Kind::real, 1e3 * e_.tpot.value, &e_.decode,
        {"decode step / tokens per step", fmt::format("{} / {}", 1e3 * e_.decode.step.value, e_.tokens_per_step)});
  }

  [[nodiscard]] std::int64_t steps_of_prompt() const {
    const auto tokens = s_.workload.isl - s_.workload.prefix, step = e_.prefill.batch.groups.front().new_tokens;
    return (tokens + step - 1) / step;
  }

  void rates() {
    const auto& d = e_.decode;
    add("user", "output tokens/s/user", "", Kind::real, e_.tokens_per_second_per_user, &d,
        {"1000 / time per output token", fmt::format("1000 / {}", 1e3 * e_.tpot.value)});
    add("gpu", "output tokens/s/GPU", "", Kind::real, d.tokens_per_second_per_gpu, &d,
        {"sequences per rank * dp * micro batches / time per output token / GPUs",
         fmt::format("{} * {} * {} / {} / {}", d.batch.sequences(), d.layout.dp, s_.decode.layout.micro_batches, number(e_.tpot.value), d.gpus)});
  }

  void costs() {
    if (!e_.costs) return;
    const auto& p = s_.prices;
    add("output_cost", "USD per Mtok, output", "", Kind::usd, e_.costs->output, &e_.decode,
        {"USD per GPU-hour / 3600 / utilisation / (output tokens/s/GPU) * 1e6",
         fmt::format("{} / 3600 / {} / {} * 1e6", *e_.usd_per_gpu_hour, p.utilisation, number(e_.decode.tokens_per_second_per_gpu))});
    add("input_cost", "USD per Mtok, input missed", "", Kind::usd, e_.costs->input_miss, &e_.prefill,
        {"what a token takes of a prompt without cached prefix, at the price of a GPU-hour", number(e_.costs->input_miss)});
  }

  void machines() {
    const auto& p = e_.prefill;
    const auto& d = e_.decode;
    add("gpus", p.system == d.system ? "GPUs, prefill + decode unit" : "GPUs of both systems", "", Kind::count, static_cast<double>(p.gpus + d.gpus), nullptr,
        {"GPUs of a prefill unit + GPUs of a decode unit", fmt::format("{} + {}", p.gpus, d.gpus)});
    const auto spare = [](const PhaseEstimate& e) { return e.fit.limit - e.fit.needed(); };
    const auto& fuller = spare(p) < spare(d) ? p : d;
    add("spare", &fuller == &p ? "GB to spare, prefill" : "GB to spare, decode", "", Kind::fixed, spare(fuller).value / 1e9, nullptr,
        {"limit - needed, on the fullest GPU", fmt::format("{} - {}", number(fuller.fit.limit.value / 1e9), number(fuller.fit.needed().value / 1e9))});
  }

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
