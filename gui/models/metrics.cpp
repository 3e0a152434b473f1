#include "gui/models/metrics.h"

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
    {"tpot", "Time per output token, ms", Kind::real, [](const Answer& a) { return if_feasible(a, [](const Estimate& e) { return 1e3 * e.tpot.value; }); }},
    {"ttft", "Time to first token, ms", Kind::real, [](const Answer& a) { return if_feasible(a, [](const Estimate& e) { return 1e3 * e.ttft.value; }); }},
    {"tokens_per_user", "Output tokens/s/user", Kind::real,
     [](const Answer& a) { return if_feasible(a, [](const Estimate& e) { return e.tokens_per_second_per_user; }); }},
    {"tokens_per_decode_gpu", "Output tokens/s per decode GPU", Kind::real,
     [](const Answer& a) { return if_feasible(a, [](const Estimate& e) { return e.decode.tokens_per_second_per_gpu; }); }},
    {"tokens_per_gpu", "Output tokens/s per GPU of both phases", Kind::real,
     [](const Answer& a) {
       return if_feasible(a, [&](const Estimate& e) {
         const auto whole = cli::whole_units(*a.scenario, e);
         return whole.output_tokens_per_second / static_cast<double>(whole.gpus);
       });
     }},
    {"usd_output", "USD per million output tokens", Kind::usd, usd<&Costs::output>},
    {"usd_input", "USD per million input tokens not in the cache", Kind::usd, usd<&Costs::input_miss>},
    {"usd_cached", "USD per million input tokens in the cache", Kind::usd, usd<&Costs::input_hit>},
    {"free_memory", "Free memory of a decode GPU, GB", Kind::fixed,
     [](const Answer& a) { return if_fitted(a, [](const Fit& f) { return (f.limit - f.needed()).value / 1e9; }); }},
    {"largest_batch", "Largest decode batch per dp rank, sequences", Kind::count,
     [](const Answer& a) { return if_fitted(a, [](const Fit& f) { return static_cast<double>(f.largest_batch); }); }},
    {"gpus", "GPUs of both phases", Kind::count,
     [](const Answer& a) { return if_feasible(a, [&](const Estimate& e) { return static_cast<double>(cli::whole_units(*a.scenario, e).gpus); }); }},
}};

}  // namespace

std::span<const Metric> metrics() { return table; }

}  // namespace fathom::gui
