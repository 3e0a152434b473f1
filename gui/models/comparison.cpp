#include "gui/models/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "gui/models/metrics.h"
#include "gui/models/value.h"

namespace fathom::gui {
namespace {

// A figure of the comparison is one cell of a table of the report.
struct Pick {
  std::string_view table, record, field;  // their keys; record is empty where the table has one only
  std::string_view key, heading;          // heading: or the id of the metric that it is
  Kind kind;
};
constexpr std::array<Pick, 35> picks{{
    {"csv", "", "model", "model", "Model", Kind::text},
    {"csv", "", "num_total_gpus", "gpus", "gpus", Kind::count},
    {"csv", "", "isl", "isl", "Input tokens", Kind::count},
    {"csv", "", "osl", "osl", "Output tokens", Kind::count},
    {"request", "", "ttft_ms", "ttft_ms", "ttft", Kind::real},
    {"request", "", "tpot_ms", "tpot_ms", "tpot", Kind::real},
    {"request", "", "request_latency_ms", "request_latency_ms", "Request, ms", Kind::real},
    {"request", "", "output_tokens_per_second_per_user", "output_tokens_per_second_per_user", "tokens_per_user", Kind::real},
    {"csv", "", "tokens/s/gpu", "output_tokens_per_second_per_gpu", "tokens_per_gpu", Kind::real},
    {"request", "", "requests_per_second", "requests_per_second", "Requests/s of the decode GPUs", Kind::real},
    {"costs", "input_missed", "usd_per_mtok", "usd_per_mtok_input_missed", "usd_input", Kind::usd},
    {"costs", "input_cached", "usd_per_mtok", "usd_per_mtok_input_cached", "usd_cached", Kind::usd},
    {"costs", "output", "usd_per_mtok", "usd_per_mtok_output", "usd_output", Kind::usd},
    {"csv", "", "usd_per_gpu_hour", "usd_per_gpu_hour", "USD per GPU-hour", Kind::usd},
    {"phases", "prefill", "system", "prefill_system", "Prefill: system", Kind::text},
    {"phases", "prefill", "layout", "prefill_layout", "Prefill: layout", Kind::text},
    {"phases", "prefill", "gpus", "prefill_gpus", "Prefill: GPUs", Kind::count},
    {"phases", "prefill", "batch_per_rank", "prefill_batch", "Prefill: sequences per dp rank", Kind::count},
    {"phases", "prefill", "step_ms", "prefill_step_ms", "Prefill: step, ms", Kind::real},
    {"phases", "prefill", "input_tokens_per_second_per_gpu", "input_tokens_per_second_per_prefill_gpu", "Prefill: input tokens/s/GPU", Kind::real},
    {"memory_per_gpu", "prefill", "needed_GB", "prefill_needed_GB", "Prefill: needed, GB", Kind::fixed},
    {"memory_per_gpu", "prefill", "limit_GB", "prefill_limit_GB", "Prefill: limit, GB", Kind::fixed},
    {"phases", "decode", "system", "decode_system", "Decode: system", Kind::text},
    {"phases", "decode", "layout", "decode_layout", "Decode: layout", Kind::text},
    {"phases", "decode", "gpus", "decode_gpus", "Decode: GPUs", Kind::count},
    {"phases", "decode", "batch_per_rank", "decode_batch", "Decode: sequences per dp rank", Kind::count},
    {"phases", "decode", "step_ms", "decode_step_ms", "Decode: step, ms", Kind::real},
    {"phases", "decode", "output_tokens_per_second_per_gpu", "output_tokens_per_second_per_decode_gpu", "tokens_per_decode_gpu", Kind::real},
    {"memory_per_gpu", "decode", "routed_experts_GB", "decode_routed_experts_GB", "Decode: routed experts, GB", Kind::fixed},
    {"memory_per_gpu", "decode", "latent_cache_GB", "decode_latent_cache_GB", "Decode: latent cache, GB", Kind::fixed},
    {"memory_per_gpu", "decode", "index_cache_GB", "decode_index_cache_GB", "Decode: index cache, GB", Kind::fixed},
    {"memory_per_gpu", "decode", "needed_GB", "decode_needed_GB", "Decode: needed, GB", Kind::fixed},
    {"memory_per_gpu", "decode", "limit_GB", "decode_limit_GB", "Decode: limit, GB", Kind::fixed},
    {"memory_per_gpu", "decode", "largest_batch", "decode_largest_batch", "largest_batch", Kind::count},
    {"phases", "decode", "inside_measured_domain", "decode_inside_measured_domain", "Decode: inside measured domain", Kind::text},
}};

const Table* find_table(const Report& report, std::string_view key) {
  if (report.csv && report.csv->key == key) return &*report.csv;
  const auto found = std::ranges::find(report.tables, key, &Table::key);
  return found == report.tables.end() ? nullptr : &*found;
}

Cell cell_of(const Answer& a, const Pick& pick) {
  const auto* table = find_table(a.report, pick.table);
  if (!table) return {};
  const auto record = std::ranges::find(table->records, pick.record, &Record::name);
  const auto field = std::ranges::find(table->fields, pick.field, &TableField::key);
  if (record == table->records.end() || field == table->fields.end()) return {};
  return record->cells[static_cast<std::size_t>(field - table->fields.begin())];
}

std::string verdict(const Answer& a) {
  for (const auto p : {PhaseName::prefill, PhaseName::decode})
    if (auto reason = a.nothing(p); !reason.empty()) return reason;
  return "fits";
}

std::vector<Cell> figures(const Answer& a) {
  std::vector<Cell> cells{verdict(a)};
  for (const auto& pick : picks) cells.push_back(cell_of(a, pick));
  return cells;
}

std::string signed_percent(double change) {
  const auto size = shown(Cell{100 * std::abs(change)}, Kind::percent);
  return fmt::format("{}{} %", size == "0.0" ? "" : change < 0 ? "−" : "+", size);
}

Cell difference(const Cell& first, const Cell& other) {
  if (first == other) return std::holds_alternative<std::monostate>(first) ? Cell{} : Cell{"same"};
  const auto from = number_of(first), to = number_of(other);
  if (from && to && *from != 0) return signed_percent((*to - *from) / std::abs(*from));
  return first.index() == other.index() ? Cell{"differs"} : Cell{};
}

std::vector<TableField> fields() {
  std::vector<TableField> out{{"verdict", "Verdict", Kind::text}};
  for (const auto& pick : picks) {
    const auto* metric = find_metric(pick.heading);
    out.push_back({std::string(pick.key), metric ? label(*metric) : std::string(pick.heading), pick.kind});
  }
  return out;
}

}  // namespace

Table comparison_table(const std::vector<std::pair<std::string, SharedAnswer>>& scenarios) {
  Table t{.key = "comparison", .title = "Scenarios side by side", .form = Form::columns, .fields = fields(), .records = {}};
  for (const auto& [name, scenario] : scenarios) {
    t.records.push_back({name, figures(*scenario)});
    if (t.records.size() == 1) continue;
    const auto &first = t.records.front().cells, &now = t.records.back().cells;
    Record change{name + ": change", {}};
    for (std::size_t f = 0; f < now.size(); ++f) change.cells.push_back(difference(first[f], now[f]));
    t.records.push_back(std::move(change));
  }
  return t;
}

std::string difference(const Answer& before, const Answer& now) {
  constexpr std::size_t most_named = 2;
  std::vector<std::string> differing;
  for (const auto& s : now.settings) {
    const auto same = std::ranges::find_if(before.settings, [&](const Setting& o) { return o.key == s.key && o.literal == s.literal; });
    if (same == before.settings.end() && s.origin != "built in" && s.origin != "derived") differing.push_back(fmt::format("{} = {}", s.key, s.literal));
  }
  if (differing.size() > most_named + 1) differing = {differing[0], differing[1], fmt::format("{} more", differing.size() - most_named)};
  return fmt::format("{}", fmt::join(differing, ", "));
}

}  // namespace fathom::gui
