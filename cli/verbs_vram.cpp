#include <fmt/format.h>

#include <algorithm>

#include "cli/flags.h"
#include "cli/output.h"
#include "cli/tables.h"
#include "cli/verbs.h"

namespace fathom::cli {
namespace {

constexpr std::string_view invented = "example";  // the commented profile of a machine that does not exist

std::vector<std::string> systems_of(const Scenario& s, const std::vector<Setting>& effective) {
  if (origin_of(effective, "system") != "built in") return {s.decode.system};
  std::vector<std::string> out;
  for (const auto& p : hardware_profiles::list_profiles())
    if (p.name.find(invented) == std::string::npos) out.push_back(p.name);
  return out;
}

Cell gb(double bytes) { return bytes / 1e9; }

Table rows_table(const std::vector<VramRow>& rows) {
  Table t{.key = "systems",
          .title = "GB on each GPU",
          .form = Form::rows,
          .fields = {{"system", "system", Kind::text},
                     {"fits", "fits", Kind::text, true},
                     {"gpus", "GPUs", Kind::count},
                     {"layout", "layout", Kind::text},
                     {"batch_per_rank", "batch", Kind::count},
                     {"weights_GB", "weights", Kind::fixed},
                     {"caches_GB", "caches", Kind::fixed},
                     {"needed_GB", "needed", Kind::fixed},
                     {"limit_GB", "limit", Kind::fixed},
                     {"reason", "reason", Kind::text, true}},
          .records = {}};
  for (const auto& r : rows) {
    const auto& m = r.fit.memory;
    t.records.push_back(
        {"",
         {r.system, r.reason.empty(), r.reason.empty() ? Cell{r.gpus} : Cell{}, label(r.layout), r.batch, gb((m.weight_sum() + m.absorbed_weights).value),
          gb((m.latent_cache + m.index_cache).value), gb(r.fit.needed().value), gb(r.fit.limit.value), r.reason.empty() ? Cell{} : Cell{r.reason}}});
  }
  return t;
}

std::string answer_of(const Scenario& s, const std::vector<VramRow>& rows, std::int64_t concurrency) {
  const auto load =
      fmt::format("{} with {} request{} of {} tokens at once", s.model.name, concurrency, concurrency == 1 ? "" : "s", s.workload.isl + s.workload.osl);
  const VramRow* least = nullptr;
  for (const auto& r : rows)
    if (r.reason.empty() && (!least || r.gpus < least->gpus)) least = &r;
  if (!least) return fmt::format("does not fit: {}: {}", load, rows.empty() ? "no machine is known" : rows.back().reason);
  if (rows.size() == 1) return fmt::format("fits: {} needs {} {} ({})", load, least->gpus, least->system, label(least->layout));
  return fmt::format("fits: {} needs at least {} GPUs: {} ({})", load, least->gpus, least->system, label(least->layout));
}

}  // namespace

Outcome run_vram(const Request& request) {
  Outcome out;
  const auto effective = effective_settings(all_settings(request, out.remarks));
  const auto s = read_scenario(effective);
  const auto concurrency = static_cast<std::int64_t>(parse_quantity(request.option("concurrency", "1")).value_or(1));
  if (concurrency < 1 || concurrency > 10'000'000) throw Error(Failure::usage, "--concurrency: must lie between 1 and 10000000");
  const auto rows = vram(s, systems_of(s, effective), concurrency);
  const bool fits = std::ranges::any_of(rows, [](const VramRow& r) { return r.reason.empty(); });
  Report report{.answer = answer_of(s, rows, concurrency), .feasible = fits, .tables = {rows_table(rows), settings_table(effective)}, .notes = {}, .csv = {}};
  report.notes.push_back(fmt::format("weights: attention {}, routed experts {}; cache {}; {:.4g} % of usable memory may be filled",
                                     name_of(s.model.storage.attention), name_of(s.model.storage.routed_experts), name_of(s.decode.policy.cache),
                                     100 * s.gpu_mem_fraction));
  report.notes.emplace_back("batch: sequences per dp rank; weights with the absorbed copies of kv_b; needed: with buffers and what is reserved");
  for (const auto& r : rows)
    if (!r.reason.empty() && fits) report.notes.push_back(fmt::format("{}: {}", r.system, r.reason));
  out.data = rendered(report, request);
  out.exit = fits ? Exit::ok : Exit::infeasible;
  return out;
}

}  // namespace fathom::cli
