// An estimate as one line that stands beside those of other tools.
#include <array>
#include <cmath>

#include "cli/tables.h"
#include "model_spec/version.h"

namespace fathom::cli {
namespace {

constexpr double gibibyte = 1073741824;

struct Line {
  const Scenario& s;
  const Estimate& e;
  WholeUnits whole{};  // of a feasible estimate
  [[nodiscard]] const Layout& layout() const { return e.decode.layout; }
  [[nodiscard]] std::int64_t sequences() const { return e.decode.batch.sequences() * layout().micro_batches; }
};

Cell if_feasible(const Line& l, double v) { return l.e.feasible() ? Cell{v} : Cell{}; }
Cell milliseconds_of(const Line& l, Seconds t) { return if_feasible(l, t.value * 1e3); }
Cell per_gpu(const Line& l, double rate) { return l.e.feasible() ? Cell{rate / static_cast<double>(l.whole.gpus)} : Cell{}; }
template <double Costs::*member>
Cell usd(const Line& l) {
  return l.e.costs ? Cell{(*l.e.costs).*member} : Cell{};
}

struct Entry {
  const char* key;
  Cell (*value)(const Line&);
};

// AIConfigurator's names in its order, then ours. Its columns for what is not modelled here (encoders, attention arithmetic, power) are left out.
const std::array<Entry, 47> entries{{
    {"model", [](const Line& l) -> Cell { return l.s.model.name; }},
    {"isl", [](const Line& l) -> Cell { return l.s.workload.isl; }},
    {"osl", [](const Line& l) -> Cell { return l.s.workload.osl; }},
    {"prefix", [](const Line& l) -> Cell { return l.s.workload.prefix; }},
    {"concurrency", [](const Line& l) -> Cell { return l.sequences() * l.layout().dp; }},
    {"request_rate", [](const Line& l) { return if_feasible(l, l.e.request_rate); }},
    {"bs", [](const Line& l) -> Cell { return l.sequences(); }},
    {"global_bs", [](const Line& l) -> Cell { return l.sequences() * l.layout().dp; }},
    {"ttft", [](const Line& l) { return milliseconds_of(l, l.e.ttft); }},
    {"tpot", [](const Line& l) { return milliseconds_of(l, l.e.tpot); }},
    {"request_latency", [](const Line& l) { return milliseconds_of(l, l.e.request_latency); }},
    {"seq/s", [](const Line& l) { return if_feasible(l, l.e.request_rate); }},
    {"seq/s/gpu", [](const Line& l) { return per_gpu(l, l.e.request_rate); }},
    {"tokens/s", [](const Line& l) { return if_feasible(l, l.whole.output_tokens_per_second); }},
    {"tokens/s/gpu", [](const Line& l) { return per_gpu(l, l.whole.output_tokens_per_second); }},
    {"tokens/s/user", [](const Line& l) { return if_feasible(l, l.e.tokens_per_second_per_user); }},
    {"num_total_gpus", [](const Line& l) { return l.e.feasible() ? Cell{l.whole.gpus} : Cell{}; }},
    {"tp", [](const Line& l) -> Cell { return l.layout().tp; }},
    {"pp", [](const Line& l) -> Cell { return l.layout().pp; }},
    {"dp", [](const Line& l) -> Cell { return l.layout().dp; }},
    {"moe_tp", [](const Line& l) -> Cell { return l.layout().etp; }},
    {"moe_ep", [](const Line& l) -> Cell { return l.layout().ep; }},
    {"cp", [](const Line& l) -> Cell { return l.layout().cp; }},
    {"parallel", [](const Line& l) -> Cell { return label(l.layout()); }},
    {"gemm", [](const Line& l) -> Cell { return std::string(name_of(l.s.model.storage.attention)); }},
    {"kvcache", [](const Line& l) -> Cell { return std::string(name_of(l.s.decode.policy.cache)); }},
    {"moe", [](const Line& l) -> Cell { return std::string(name_of(l.s.model.storage.routed_experts)); }},
    {"memory", [](const Line& l) -> Cell { return l.e.decode.fit.needed().value / gibibyte; }},
    {"backend", [](const Line&) -> Cell { return std::string("fathom"); }},
    {"version", [](const Line&) -> Cell { return std::string(version()); }},
    {"system", [](const Line& l) -> Cell { return l.e.decode.system; }},
    {"feasible", [](const Line& l) -> Cell { return l.e.feasible(); }},
    {"reason", [](const Line& l) -> Cell { return l.e.prefill.reason.empty() ? l.e.decode.reason : l.e.prefill.reason; }},
    {"prefill_system", [](const Line& l) -> Cell { return l.e.prefill.system; }},
    {"prefill_parallel", [](const Line& l) -> Cell { return label(l.e.prefill.layout); }},
    {"prefill_units", [](const Line& l) { return l.e.feasible() ? Cell{l.whole.prefill_units} : Cell{}; }},
    {"input_tokens/s/gpu_prefill", [](const Line& l) { return if_feasible(l, l.e.prefill.tokens_per_second_per_gpu); }},
    {"output_tokens/s/gpu_decode", [](const Line& l) { return if_feasible(l, l.e.decode.tokens_per_second_per_gpu); }},
    {"prefill_memory_GB", [](const Line& l) -> Cell { return l.e.prefill.fit.needed().value / 1e9; }},
    {"decode_memory_GB", [](const Line& l) -> Cell { return l.e.decode.fit.needed().value / 1e9; }},
    {"prefill_largest_batch", [](const Line& l) -> Cell { return l.e.prefill.fit.largest_batch; }},
    {"decode_largest_batch", [](const Line& l) -> Cell { return l.e.decode.fit.largest_batch; }},
    {"usd_per_gpu_hour", [](const Line& l) { return l.e.usd_per_gpu_hour ? Cell{*l.e.usd_per_gpu_hour} : Cell{}; }},
    {"usd_per_mtok_in_miss", usd<&Costs::input_miss>},
    {"usd_per_mtok_in_hit", usd<&Costs::input_hit>},
    {"usd_per_mtok_out", usd<&Costs::output>},
    {"inside_measured_domain", [](const Line& l) { return l.e.feasible() ? Cell{l.e.prefill.inside && l.e.decode.inside} : Cell{}; }},
}};

}  // namespace

WholeUnits whole_units(const Scenario& s, const Estimate& e) {
  const double wanted = e.prefill_gpus_per_decode_gpu * static_cast<double>(e.decode.gpus) / static_cast<double>(e.prefill.gpus);
  const auto units = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(wanted)));
  return {units, e.decode.gpus + units * e.prefill.gpus, e.request_rate * static_cast<double>(s.workload.osl)};
}

Table comparison_row(const Scenario& s, const Estimate& e) {
  Line line{.s = s, .e = e};
  if (e.feasible()) line.whole = whole_units(s, e);
  Table t{.key = "csv", .title = {}, .form = Form::rows, .fields = {}, .records = {{"", {}}}};
  for (const auto& entry : entries) {
    t.fields.push_back({entry.key, entry.key, Kind::text});
    t.records[0].cells.push_back(entry.value(line));
  }
  return t;
}

}  // namespace fathom::cli
