#include <fmt/format.h>

#include <algorithm>

#include "cli/flags.h"
#include "cli/output.h"
#include "cli/tables.h"
#include "cli/verbs.h"

namespace fathom::cli {
namespace {

Report list_report() {
  Table t{.key = "systems",
          .title = {},
          .form = Form::rows,
          .fields = {{"name", "name", Kind::text},
                     {"aliases", "also", Kind::text, true},
                     {"description", "description", Kind::text},
                     {"origin", "origin", Kind::text}},
          .records = {}};
  for (const auto& p : hardware_profiles::list_profiles())
    t.records.push_back({"", {p.name, fmt::format("{}", fmt::join(p.aliases, ", ")), p.description, p.origin}});
  return {.answer = {}, .tables = {t}, .notes = {}, .csv = {}};
}

class Numbers {
 public:
  explicit Numbers(const HardwareProfile& p) : profile_(p) {}
  void add(const std::string& key, std::optional<double> value) {
    if (!value) return;
    const auto source = profile_.sources.find(key);
    table_.records.push_back({"", {key, *value, source == profile_.sources.end() ? std::string() : source->second}});
  }
  Table table() && { return std::move(table_); }

 private:
  const HardwareProfile& profile_;
  Table table_{.key = "numbers",
               .title = "Every number and its source",
               .form = Form::rows,
               .fields = {{"key", "key", Kind::text}, {"value", "value", Kind::real}, {"source", "source", Kind::text}},
               .records = {}};
};

}  // namespace

Table profile_table(const HardwareProfile& p) {
  Numbers n(p);
  for (const auto& [arithmetic, name] : arithmetic_names)
    if (const auto rate = p.matrix_rate[static_cast<std::size_t>(arithmetic)])
      n.add(fmt::format("{}_{}", name, arithmetic == Arithmetic::int8 ? "TOPS" : "TFLOPS"), rate->value / 1e12);
  if (p.vector_rate) n.add("fp32_vector_TFLOPS", p.vector_rate->value / 1e12);
  if (p.sm_count > 0) n.add("sm_count", static_cast<double>(p.sm_count));
  n.add("hbm_GB", p.hbm_capacity.value / 1e9);
  n.add("hbm_usable_MiB", p.hbm_usable.value / 1048576);
  if (p.hbm_bandwidth) n.add("hbm_GBps", p.hbm_bandwidth->value / 1e9);
  if (p.l2) n.add("l2_MB", p.l2->value / 1e6);
  n.add("reserved_GB", p.reserved.value / 1e9);
  const auto& c = p.cluster;
  n.add("gpus_per_node", static_cast<double>(c.gpus_per_node));
  n.add("nvlink_GBps", c.nvlink.value / 1e9);
  n.add("nvlink_latency_us", c.nvlink_latency.value * 1e6);
  n.add("nics_per_node", static_cast<double>(c.nics_per_node));
  n.add("nic_GBps", c.nic.value / 1e9);
  n.add("nic_latency_us", c.nic_latency.value * 1e6);
  n.add("spine_latency_us", c.spine_latency.value * 1e6);
  n.add("nodes_per_leaf", static_cast<double>(c.nodes_per_leaf));
  n.add("oversubscription", c.oversubscription);
  n.add("tdp_W", p.power_watts);
  if (p.price) {
    n.add("usd_per_gpu_hour_low", p.price->low);
    n.add("usd_per_gpu_hour_typical", p.price->typical);
    n.add("usd_per_gpu_hour_high", p.price->high);
  }
  return std::move(n).table();
}

Table efficiency_table(const Calibration& c) {
  Table t{.key = "efficiencies",
          .title = fmt::format("How near kernels come to the peaks: calibration {}", c.name),
          .form = Form::rows,
          .fields = {{"family", "family", Kind::text},
                     {"arithmetic", "type", Kind::text},
                     {"fixed_us", "fixed, us", Kind::real},
                     {"rate_from", "from", Kind::text},
                     {"source", "source", Kind::text}},
          .records = {}};
  for (std::size_t f = 0; f < family_count; ++f)
    for (std::size_t a = 0; a < arithmetic_count; ++a) {
      const auto& e = c.entries[f][a];
      if (!e) continue;
      t.records.push_back({"",
                           {std::string(family_names[f]), std::string(arithmetic_names[a].name), e->fixed.value * 1e6, std::string(name_of(e->provenance)),
                            e->transferred_from.empty() ? e->source : fmt::format("{} (from {})", e->source, e->transferred_from)}});
    }
  return t;
}

namespace {

Report profile_report(const HardwareProfile& p, const std::string& verdict) {
  Report report{.answer = fmt::format("{}{}: {}", verdict, p.name, p.description), .tables = {profile_table(p)}, .notes = {}, .csv = {}};
  report.tables.push_back(efficiency_table(hardware_profiles::find_calibration(p.calibration_name)));
  report.notes.emplace_back("links: per GPU or NIC, one direction; JSON and Markdown hold the sources in full");
  return report;
}

// A calibration is told from a profile by its tables.
Report check_report(const std::string& path) {
  const auto text = read_text_file(path);
  if (!parse_toml(text, path).find("family")) return profile_report(hardware_profiles::read_profile(text, path), "sound: ");
  const auto c = hardware_profiles::read_calibration(text, path);
  return {.answer = fmt::format("sound: calibration {}", c.name), .tables = {efficiency_table(c)}, .notes = {}, .csv = {}};
}

}  // namespace

Outcome run_profiles(const Request& request) {
  const auto verb = split(request.verb, ' ').back();
  if (verb == "list") return {.data = rendered(list_report(), request)};
  if (verb == "show")
    return {.data = rendered(profile_report(hardware_profiles::find_profile(needed_argument(request, "the name of a machine")), ""), request)};
  return {.data = rendered(check_report(needed_argument(request, "the file")), request)};
}

}  // namespace fathom::cli
