// Reads a profile. Units stand in the keys; every number must have its line in [sources].
#include <fmt/core.h>

#include <set>

#include "hardware_profiles/profile.h"
#include "model_spec/toml.h"

namespace fathom::hardware_profiles {

namespace {

constexpr double positive = 1e-9;  // least value of what must not be zero, in any of the units below
constexpr double tera = 1e12, giga = 1e9, mega = 1e6, mebi = 1048576, micro = 1e-6;

// Numbers of one file: each is asked for by key, and its source with it.
class Numbers {
 public:
  Numbers(TomlReader& root, std::map<std::string, std::string>& sources) : sources_(sources) {
    root.table("sources", [&](TomlReader& lines) {
      for (const auto& key : lines.other_keys()) {
        sources_[key] = lines.string(key);
        if (sources_[key].empty()) lines.problem(key, "must say where the number comes from");
      }
    });
  }

  double number(TomlReader& t, std::string_view key, double unit, double least = positive) {
    note(t, key);
    return t.number(key, least) * unit;
  }
  std::optional<double> number_if_any(TomlReader& t, std::string_view key, double unit) {
    note(t, key);
    const auto value = t.optional_number(key, positive);
    return value ? std::optional(*value * unit) : std::nullopt;
  }
  std::int64_t count(TomlReader& t, std::string_view key, std::int64_t least = 1) {
    note(t, key);
    return t.integer(key, least, 1 << 20);
  }
  std::int64_t count_if_any(TomlReader& t, std::string_view key, std::int64_t fallback) {
    note(t, key);
    return t.integer_or(key, fallback, 1, 1 << 20);
  }

  // A source that belongs to no number is a slip of the key.
  void finish(TomlReader& root) const {
    for (const auto& [key, text] : sources_) {
      if (given_.contains(key)) continue;
      const auto near = nearest(key, {given_.begin(), given_.end()});
      root.problem("sources." + key,
                   near ? fmt::format("is the source of no number of this file (did you mean '{}'?)", *near) : "is the source of no number of this file");
    }
  }

 private:
  void note(TomlReader& t, std::string_view key) {
    if (!t.has(key)) return;
    given_.emplace(key);
    if (!sources_.contains(std::string(key))) t.problem(key, fmt::format("has no source: add {} = \"...\" to [sources]", key));
  }

  std::map<std::string, std::string>& sources_;
  std::set<std::string> given_;
};

template <class Quantity>
std::optional<Quantity> as(const std::optional<double>& value) {
  return value ? std::optional<Quantity>(Quantity{*value}) : std::nullopt;
}

void read_compute(TomlReader& t, Numbers& numbers, HardwareProfile& p) {
  for (const auto& [arithmetic, name] : arithmetic_names) {
    const auto key = fmt::format("{}_{}", name, arithmetic == Arithmetic::int8 ? "TOPS" : "TFLOPS");
    p.matrix_rate[static_cast<std::size_t>(arithmetic)] = as<FlopsPerSecond>(numbers.number_if_any(t, key, tera));
  }
  p.vector_rate = as<FlopsPerSecond>(numbers.number_if_any(t, "fp32_vector_TFLOPS", tera));
  p.sm_count = numbers.count_if_any(t, "sm_count", 0);
}

void read_memory(TomlReader& t, Numbers& numbers, HardwareProfile& p) {
  p.hbm_bandwidth = as<BytesPerSecond>(numbers.number_if_any(t, "hbm_GBps", giga));
  p.hbm_capacity = Bytes{numbers.number(t, "hbm_GB", giga)};
  const auto usable_mib = numbers.number_if_any(t, "hbm_usable_MiB", mebi);
  const auto usable_gb = numbers.number_if_any(t, "hbm_usable_GB", giga);
  if (t.has("hbm_usable_MiB") == t.has("hbm_usable_GB")) t.problem("hbm_usable_GB", "give either hbm_usable_GB or hbm_usable_MiB");
  p.hbm_usable = Bytes{usable_mib ? *usable_mib : usable_gb.value_or(0)};
  p.reserved = Bytes{numbers.number(t, "reserved_GB", giga, 0)};
  if (p.reserved > p.hbm_usable) t.problem("reserved_GB", "must not exceed what is usable");
  p.l2 = as<Bytes>(numbers.number_if_any(t, "l2_MB", mega));
}

void read_links(TomlReader& t, Numbers& numbers, ClusterSpec& c) {
  c.gpus_per_node = numbers.count(t, "gpus_per_node");
  c.nvlink = BytesPerSecond{numbers.number(t, "nvlink_GBps", giga)};
  c.nvlink_latency = Seconds{numbers.number(t, "nvlink_latency_us", micro, 0)};
  c.nics_per_node = numbers.count(t, "nics_per_node");
  c.nic = BytesPerSecond{numbers.number(t, "nic_GBps", giga)};
  c.nic_latency = Seconds{numbers.number(t, "nic_latency_us", micro, 0)};
  c.spine_latency = Seconds{numbers.number(t, "spine_latency_us", micro, 0)};
  c.nodes_per_leaf = numbers.count(t, "nodes_per_leaf");
  c.oversubscription = numbers.number(t, "oversubscription", 1, 1);
  c.max_nodes = numbers.count_if_any(t, "max_nodes", 0);
}

void read_price(TomlReader& t, Numbers& numbers, HardwareProfile& p) {
  Price price;
  price.low = numbers.number(t, "usd_per_gpu_hour_low", 1);
  price.typical = numbers.number(t, "usd_per_gpu_hour_typical", 1);
  price.high = numbers.number(t, "usd_per_gpu_hour_high", 1);
  if (price.low > price.typical || price.typical > price.high) t.problem("usd_per_gpu_hour_typical", "must lie between low and high");
  const auto source = p.sources.find("usd_per_gpu_hour_typical");
  if (source != p.sources.end()) price.source = source->second;
  p.price = price;
}

}  // namespace

HardwareProfile read_profile(std::string_view toml, const std::string& file) {
  const TomlValue tree = parse_toml(toml, file);
  Problems problems;
  TomlReader root(tree, file, "", problems);
  HardwareProfile p;
  p.origin = file;
  root.integer("schema", 1, 1);
  p.name = root.string("name");
  p.aliases = root.strings_or("aliases", {});
  p.description = root.string("description");
  p.calibration_name = root.string("calibration");
  Numbers numbers(root, p.sources);
  root.table("compute", [&](TomlReader& t) { read_compute(t, numbers, p); });
  root.table("memory", [&](TomlReader& t) { read_memory(t, numbers, p); });
  root.table("links", [&](TomlReader& t) { read_links(t, numbers, p.cluster); });
  root.table_if_any("power", [&](TomlReader& t) { p.power_watts = numbers.number(t, "tdp_W", 1); });
  root.table_if_any("price", [&](TomlReader& t) { read_price(t, numbers, p); });
  numbers.finish(root);
  root.finish();
  problems.throw_if_any();
  return p;
}

}  // namespace fathom::hardware_profiles
