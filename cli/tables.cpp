#include "cli/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "simulator/api_prices.h"

namespace fathom::cli {
namespace {

Cell milliseconds_of(Seconds s) { return s.value * 1e3; }
Cell gb(Bytes b) { return b.value / 1e9; }

// One phase with what a table needs to know about it.
struct Side {
  const Scenario* scenario;
  const Phase* phase;
  const PhaseEstimate* e;
  bool prefill;
};
bool timed(const Side& s) { return s.e->tokens_per_second_per_gpu > 0; }
bool fitted(const Side& s) { return s.e->fit.limit > Bytes{}; }
const Group* group(const Side& s) { return s.e->batch.groups.empty() ? nullptr : &s.e->batch.groups.front(); }
template <class F>
Cell if_fitted(const Side& s, F f) {
  return fitted(s) ? f(s.e->fit) : Cell{};
}

std::string sources_text(const PhaseEstimate& e) {
  std::string out;
  for (const auto p : e.provenance) out += (out.empty() ? "" : ", ") + std::string(name_of(p));
  return out;
}

const std::array<Column<Side>, 15> phase_columns{{
    {{"system", "system", Kind::text}, [](const Side& s) -> Cell { return s.e->system; }},
    {{"layout", "layout", Kind::text}, [](const Side& s) -> Cell { return label(s.e->layout); }},
    {{"redundant_experts", "redundant experts", Kind::count}, [](const Side& s) -> Cell { return s.e->layout.redundant_experts; }},
    {{"gpus", "GPUs", Kind::count}, [](const Side& s) -> Cell { return s.e->gpus; }},
    {{"batch_per_rank", "sequences per dp rank", Kind::count}, [](const Side& s) -> Cell { return group(s) ? Cell{group(s)->sequences} : Cell{}; }},
    {{"new_tokens_per_sequence", "new tokens per sequence", Kind::count}, [](const Side& s) -> Cell { return group(s) ? Cell{group(s)->new_tokens} : Cell{}; }},
    {{"cached_tokens_per_sequence", "cached tokens per sequence", Kind::count},
     [](const Side& s) -> Cell { return group(s) ? Cell{group(s)->cached_tokens} : Cell{}; }},
    {{"step_ms", "step, ms", Kind::real}, [](const Side& s) { return timed(s) ? milliseconds_of(s.e->step) : Cell{}; }},
    {{"interval_ms", "interval between steps, ms", Kind::real, true}, [](const Side& s) { return timed(s) ? milliseconds_of(s.e->interval) : Cell{}; }},
    {{"input_tokens_per_second_per_gpu", "input tokens/s/GPU", Kind::real},
     [](const Side& s) { return timed(s) && s.prefill ? Cell{s.e->tokens_per_second_per_gpu} : Cell{}; }},
    {{"output_tokens_per_second_per_gpu", "output tokens/s/GPU", Kind::real},
     [](const Side& s) { return timed(s) && !s.prefill ? Cell{s.e->tokens_per_second_per_gpu} : Cell{}; }},
    {{"rates_from", "", Kind::text, true}, [](const Side& s) { return s.e->provenance.empty() ? Cell{} : Cell{sources_text(*s.e)}; }},
    {{"inside_measured_domain", "inside measured domain", Kind::text}, [](const Side& s) { return timed(s) ? Cell{s.e->inside} : Cell{}; }},
    {{"overlap", "overlap", Kind::text, true},
     [](const Side& s) -> Cell { return std::string(overlap_names[static_cast<std::size_t>(s.phase->policy.overlap)]); }},
    {{"reason", "reason", Kind::text, true}, [](const Side& s) { return s.e->reason.empty() ? Cell{} : Cell{s.e->reason}; }},
}};

template <Part part>
Cell weight_part(const Side& s) {
  return if_fitted(s, [](const Fit& f) { return gb(f.memory.weights[static_cast<std::size_t>(part)]); });
}
Cell other_weights(const Side& s) {
  return if_fitted(s, [](const Fit& f) { return gb(f.memory.weight_sum() - f.memory.weights[static_cast<std::size_t>(Part::routed_experts)]); });
}
template <Bytes RankMemory::*member>
Cell memory_part(const Side& s) {
  return if_fitted(s, [](const Fit& f) { return gb(f.memory.*member); });
}

const std::array<Column<Side>, 20> memory_columns{{
    {{"routed_experts_GB", "routed experts", Kind::fixed}, weight_part<Part::routed_experts>},
    {{"other_weights_GB", "other weights", Kind::fixed}, other_weights},
    {{"embedding_GB", "", Kind::fixed, true}, weight_part<Part::embedding>},
    {{"head_GB", "", Kind::fixed, true}, weight_part<Part::head>},
    {{"norms_GB", "", Kind::fixed, true}, weight_part<Part::norms>},
    {{"attention_GB", "", Kind::fixed, true}, weight_part<Part::attention>},
    {{"indexer_GB", "", Kind::fixed, true}, weight_part<Part::indexer>},
    {{"dense_ffn_GB", "", Kind::fixed, true}, weight_part<Part::dense_ffn>},
    {{"router_GB", "", Kind::fixed, true}, weight_part<Part::router>},
    {{"shared_experts_GB", "", Kind::fixed, true}, weight_part<Part::shared_experts>},
    {{"absorbed_weights_GB", "absorbed copies of kv_b", Kind::fixed}, memory_part<&RankMemory::absorbed_weights>},
    {{"latent_cache_GB", "latent cache", Kind::fixed}, memory_part<&RankMemory::latent_cache>},
    {{"index_cache_GB", "index cache", Kind::fixed}, memory_part<&RankMemory::index_cache>},
    {{"activations_GB", "activations", Kind::fixed}, memory_part<&RankMemory::activations>},
    {{"logits_workspace_GB", "index score workspace", Kind::fixed}, memory_part<&RankMemory::logits_workspace>},
    {{"communication_buffers_GB", "exchange buffers", Kind::fixed}, memory_part<&RankMemory::communication_buffers>},
    {{"reserved_GB", "reserved (driver, framework)", Kind::fixed}, [](const Side& s) { return if_fitted(s, [](const Fit& f) { return gb(f.reserved); }); }},
    {{"needed_GB", "needed", Kind::fixed}, [](const Side& s) { return if_fitted(s, [](const Fit& f) { return gb(f.needed()); }); }},
    {{"limit_GB", "limit", Kind::fixed}, [](const Side& s) { return if_fitted(s, [](const Fit& f) { return gb(f.limit); }); }},
    {{"largest_batch", "largest batch that fits", Kind::count}, [](const Side& s) { return if_fitted(s, [](const Fit& f) { return Cell{f.largest_batch}; }); }},
}};

struct Both {
  const Scenario* s;
  const Estimate* e;
};
const std::array<Column<Both>, 10> request_columns{{
    {{"ttft_ms", "time to first token, ms", Kind::real}, [](const Both& b) { return milliseconds_of(b.e->ttft); }},
    {{"tpot_ms", "time per output token, ms", Kind::real}, [](const Both& b) { return milliseconds_of(b.e->tpot); }},
    {{"output_tokens_per_second_per_user", "output tokens/s/user", Kind::real}, [](const Both& b) -> Cell { return b.e->tokens_per_second_per_user; }},
    {{"request_latency_ms", "request, ms", Kind::real}, [](const Both& b) { return milliseconds_of(b.e->request_latency); }},
    {{"tokens_per_step", "tokens per step and sequence", Kind::real, true}, [](const Both& b) -> Cell { return b.e->tokens_per_step; }},
    {{"requests_per_second", "requests/s of the decode GPUs", Kind::real}, [](const Both& b) -> Cell { return b.e->request_rate; }},
    {{"output_tokens_per_second", "output tokens/s of the decode GPUs", Kind::real},
     [](const Both& b) -> Cell { return whole_units(*b.s, *b.e).output_tokens_per_second; }},
    {{"total_tokens_per_second", "input and output tokens/s with them", Kind::real},
     [](const Both& b) -> Cell { return b.e->request_rate * static_cast<double>(b.s->workload.isl + b.s->workload.osl); }},
    {{"prefill_gpus", "prefill GPUs that feed them", Kind::real},
     [](const Both& b) -> Cell { return b.e->prefill_gpus_per_decode_gpu * static_cast<double>(b.e->decode.gpus); }},
    {{"prefill_units", "prefill units, whole", Kind::count}, [](const Both& b) -> Cell { return whole_units(*b.s, *b.e).prefill_units; }},
}};

Cell optional_cell(std::optional<double> v) { return v ? Cell{*v} : Cell{}; }

std::string gpu_price_text(const Scenario& s, const std::string& system) {
  if (s.prices.usd_per_gpu_hour) return fmt::format("${:.2f} per GPU-hour (given)", *s.prices.usd_per_gpu_hour);
  const auto profile = hardware_profiles::find_profile(system);
  if (!profile.price) return fmt::format("no price of a GPU-hour of {}: give --price", profile.name);
  return fmt::format("${:.2f} per GPU-hour of {} (typical; {})", profile.price->typical, profile.name, profile.price->source);
}

std::string reason_of(const Estimate& e) {
  if (!e.prefill.reason.empty()) return "prefill: " + e.prefill.reason;
  return e.decode.reason.empty() ? std::string() : "decode: " + e.decode.reason;
}

std::string gpus_text(const Estimate& e) {
  if (e.prefill.system == e.decode.system) return fmt::format("{} prefill and {} decode GPUs of {}", e.prefill.gpus, e.decode.gpus, e.decode.system);
  return fmt::format("{} {} for prefill and {} {} for decode", e.prefill.gpus, e.prefill.system, e.decode.gpus, e.decode.system);
}

}  // namespace

std::string origin_of(const std::vector<Setting>& effective, std::string_view key) {
  const auto found = std::ranges::find(effective, key, &Setting::key);
  return found == effective.end() ? std::string() : found->origin;
}

std::string source_of(const OpTime& t) { return fmt::format("{}{}", name_of(t.provenance), t.inside ? "" : ", outside measured domain"); }

std::vector<Table> phase_tables(const Scenario& s, const Estimate& e) {
  const std::vector<std::pair<std::string, Side>> sides{{"prefill", {&s, &s.prefill, &e.prefill, true}}, {"decode", {&s, &s.decode, &e.decode, false}}};
  std::vector<Table> tables{table_of<Side>("phases", "", Form::columns, phase_columns, sides)};
  const bool planned = e.prefill.fit.limit > Bytes{} || e.decode.fit.limit > Bytes{};  // else a layout was refused before memory was counted
  if (planned) tables.push_back(table_of<Side>("memory_per_gpu", "Memory of the fullest GPU, GB", Form::columns, memory_columns, sides));
  return tables;
}

Table request_table(const Scenario& s, const Estimate& e) {
  return table_of<Both>("request", fmt::format("A request of {} input and {} output tokens", s.workload.isl, s.workload.osl), Form::columns, request_columns,
                        {{"", {&s, &e}}});
}

Table costs_table(const Scenario& s, const Estimate& e) {
  Table t{.key = "costs",
          .title = "Cost",
          .form = Form::rows,
          .fields = {{"usd_per_mtok", "USD per Mtok", Kind::usd},
                     {"api_usd_per_mtok", "API price, USD per Mtok", Kind::usd},
                     {"margin_percent", "margin, %", Kind::percent}},
          .records = {}};
  const auto list = api_price(s.model);
  const auto api = [&](std::optional<double> given, double ApiPrice::*member) { return given ? given : list ? std::optional((*list).*member) : std::nullopt; };
  const auto row = [&](const char* name, double Costs::*cost, std::optional<double> price, double Margins::*margin) {
    t.records.push_back({name, {(*e.costs).*cost, optional_cell(price), Cell{}}});
    if (e.margins) t.records.back().cells.back() = 100 * ((*e.margins).*margin);
  };
  if (!e.costs) return t;
  row("input_missed", &Costs::input_miss, api(s.prices.api_input_miss, &ApiPrice::input_miss), &Margins::input_miss);
  row("input_cached", &Costs::input_hit, api(s.prices.api_input_hit, &ApiPrice::input_hit), &Margins::input_hit);
  row("output", &Costs::output, api(s.prices.api_output, &ApiPrice::output), &Margins::output);
  return t;
}

Table settings_table(const std::vector<Setting>& effective) {
  Table t{.key = "scenario",
          .title = {},
          .form = Form::rows,
          .fields = {{"key", "key", Kind::text}, {"value", "value", Kind::text}, {"origin", "origin", Kind::text}},
          .records = {},
          .machines_only = true};
  for (const auto& s : effective) t.records.push_back({"", {s.key, s.literal, s.origin}});
  return t;
}

std::string price_note(const Scenario& s) {
  auto note = gpu_price_text(s, s.prefill.system);
  if (!s.prices.usd_per_gpu_hour && s.decode.system != s.prefill.system) note += "; decode: " + gpu_price_text(s, s.decode.system);
  return fmt::format("costs: {}, {:.4g} % of paid hours used", note, 100 * s.prices.utilisation);
}

std::vector<std::string> notes_on(const Scenario& s, const Estimate& e, const std::vector<Setting>& effective) {
  std::vector<std::string> notes;
  std::string defaults;
  if (origin_of(effective, "model.name") == "built in") defaults += fmt::format(", model {}", s.model.name);
  if (origin_of(effective, "system") == "built in") defaults += fmt::format(", system {}", s.prefill.system);
  if (origin_of(effective, "prefill.layout.ep") == "built in") defaults += fmt::format(", prefill layout {}", label(s.prefill.layout));
  if (origin_of(effective, "decode.layout.ep") == "built in") defaults += fmt::format(", decode layout {}", label(s.decode.layout));
  if (origin_of(effective, "workload.isl") == "built in") defaults += fmt::format(", isl {}", s.workload.isl);
  if (origin_of(effective, "workload.osl") == "built in") defaults += fmt::format(", osl {}", s.workload.osl);
  if (!defaults.empty()) notes.push_back("not given, so default: " + defaults.substr(2));
  if (s.decode.policy.mtp_depth > 0 && s.workload.nextn_accepted == 0) notes.emplace_back("no draft counts as accepted: give --nextn-accepted");
  if (s.decode.batch == 0 && e.decode.fit.largest_batch > 0)
    notes.emplace_back("decode batch: the largest that fits; a smaller --batch answers sooner and costs more");
  notes.push_back(price_note(s));
  if (const auto list = api_price(s.model)) notes.push_back("API prices: " + list->source);
  for (const auto& [name, phase] : {std::pair{"prefill", &e.prefill}, {"decode", &e.decode}})
    if (!phase->provenance.empty())
      notes.push_back(fmt::format("{} rests on rates that are {} (longest time first){}", name, sources_text(*phase),
                                  phase->inside ? "" : "; some are used outside measured domain: --detail marks them with *"));
  return notes;
}

std::string milliseconds_text(Seconds s) { return shown(Cell{s.value * 1e3}, Kind::real) + " ms"; }

std::string answer_of(const Scenario& s, const Estimate& e, const std::string& missed) {
  if (!e.feasible()) return "does not fit: " + reason_of(e);
  const auto spare = std::min(e.prefill.fit.limit - e.prefill.fit.needed(), e.decode.fit.limit - e.decode.fit.needed());
  auto text = fmt::format("{}: {} on {}, {} GB to spare; first token after {}, then {} per token", missed.empty() ? "fits" : "too slow: " + missed,
                          s.model.name, gpus_text(e), shown(gb(spare), Kind::fixed), milliseconds_text(e.ttft), milliseconds_text(e.tpot));
  if (e.costs) text += fmt::format("; ${} per million output tokens", shown(Cell{e.costs->output}, Kind::usd));
  return text;
}

Report estimate_report(const Scenario& s, const Estimate& e, const std::vector<Setting>& effective, const std::string& missed) {
  Report report{.answer = answer_of(s, e, missed),
                .feasible = e.feasible() && missed.empty(),
                .tables = phase_tables(s, e),
                .notes = notes_on(s, e, effective),
                .csv = comparison_row(s, e)};
  if (e.feasible()) {
    report.tables.push_back(request_table(s, e));
    report.tables.push_back(costs_table(s, e));
  }
  return report;
}

}  // namespace fathom::cli
