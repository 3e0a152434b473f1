#include "gui/models/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fathom::gui {
namespace {

using Value = std::optional<double>;

// `value` of an estimate that can be run.
template <class F>
Value if_feasible(const Answer& a, const F& value) {
  return a.estimate && a.estimate->feasible() ? Value(value(*a.estimate)) : Value();
}
template <class F>
Value if_fitted(const Answer& a, const F& value) {
  return a.estimate && a.estimate->decode.fit.limit > Bytes{} ? Value(value(a.estimate->decode.fit)) : Value();
}
template <double Costs::*member>
Value usd(const Answer& a) {
  return a.estimate && a.estimate->costs ? Value((*a.estimate->costs).*member) : Value();
}

constexpr std::array<Metric, 11> table{{
    {"tpot", "Time per output token", "ms", Kind::real, [](const Answer& a) { return if_feasible(a, [](const Estimate& e) { return 1e3 * e.tpot.value; }); }},
    {"ttft", "Time to first token", "ms", Kind::real, [](const Answer& a) { return if_feasible(a, [](const Estimate& e) { return 1e3 * e.ttft.value; }); }},
    {"tokens_per_user", "Output tokens/s/user", "", Kind::real,
     [](const Answer& a) { return if_feasible(a, [](const Estimate& e) { return e.tokens_per_second_per_user; }); }},
    {"tokens_per_decode_gpu", "Output tokens/s per decode GPU", "", Kind::real,
     [](const Answer& a) { return if_feasible(a, [](const Estimate& e) { return e.decode.tokens_per_second_per_gpu; }); }},
    {"tokens_per_gpu", "Output tokens/s per GPU, prefill included", "", Kind::real,
     [](const Answer& a) {
       return if_feasible(a, [&](const Estimate& e) {
         const auto whole = cli::whole_units(*a.scenario, e);
         return whole.output_tokens_per_second / static_cast<double>(whole.gpus);
       });
     }},
    {"usd_output", "USD per Mtok, output", "", Kind::usd, usd<&Costs::output>},
    {"usd_input", "USD per Mtok, input missed", "", Kind::usd, usd<&Costs::input_miss>},
    {"usd_cached", "USD per Mtok, input cached", "", Kind::usd, usd<&Costs::input_hit>},
    {"free_memory", "Free memory of a decode GPU", "GB", Kind::fixed,
     [](const Answer& a) { return if_fitted(a, [](const Fit& f) { return (f.limit - f.needed()).value / 1e9; }); }},
    {"largest_batch", "Largest decode batch per dp rank", "sequences", Kind::count,
     [](const Answer& a) { return if_fitted(a, [](const Fit& f) { return static_cast<double>(f.largest_batch); }); }},
    {"gpus", "GPUs, decode unit and prefill to feed it", "", Kind::count,
     [](const Answer& a) { return if_feasible(a, [&](const Estimate& e) { return static_cast<double>(cli::whole_units(*a.scenario, e).gpus); }); }},
}};

}  // namespace

std::span<const Metric> metrics() { return table; }

const Metric* find_metric(std::string_view id) {
  const auto* found = std::ranges::find(table, id, &Metric::id);
  return found == table.end() ? nullptr : found;
}

std::string label(const Metric& m) { return m.unit.empty() ? std::string(m.name) : fmt::format("{}, {}", m.name, m.unit); }

}  // namespace fathom::gui
