// What a planner asks about: a model, machines, layouts, a workload, prices. One strict TOML file; every verb takes it, flags and
// environment lie over it, and the desktop app's document is this file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hardware_profiles/profile.h"
#include "model_spec/layout.h"
#include "model_spec/model.h"
#include "model_spec/policy.h"
#include "model_spec/toml.h"

namespace fathom::simulator {

using namespace model_spec;

// How one phase of serving runs. The two phases share GPUs or have their own; every cost below is per phase.
struct Phase {
  std::string system;
  Layout layout;
  Policy policy;
  std::int64_t batch = 0;  // sequences per attention data-parallel rank; 0: prefill takes what fills a chunk, decode the largest that fits
};

struct Workload {
  std::int64_t isl = 4000, osl = 1000;  // input and output tokens of a request
  std::int64_t prefix = 0;              // input tokens found in the prefix cache
  double nextn_accepted = 0;            // expected drafts accepted a step, at most nextn (mtp_depth)
};

struct Prices {
  std::optional<double> usd_per_gpu_hour;                           // absent: the profile's typical price
  double utilisation = 1;                                           // share of the hours that are paid for in which the GPU works
  std::optional<double> api_input_miss, api_input_hit, api_output;  // USD per million tokens that customers pay
};

struct Scenario {
  ModelSpec model;
  Phase prefill, decode;
  std::string calibration;  // empty: the profile's own
  Workload workload;
  Prices prices;
  double gpu_mem_fraction = 0.9;  // share of usable memory that may be filled (vLLM's default)
  std::int64_t total_gpus = 0;    // of the cluster; 0: as many as the layout wants
};

// The calibration in force on a machine: the scenario's, or else the profile's own.
hardware_profiles::Calibration calibration_of(const Scenario&, const hardware_profiles::HardwareProfile&);

// Scenario TOML (all keys optional but the model and system, for which there are defaults too):
//   model = "deepseek-v3.2"            or a table: [model] name = "...", and any key of the spec to override
//   system = "h800_sxm"                decode_system = "..."
//   calibration = "..."                total_gpus = 32        gpu_mem_fraction = 0.9
//   [layout] tp dp pp etp ep redundant_experts micro_batches      also [prefill.layout], [decode.layout]
//   [policy] ...fields of Policy...                               also [prefill.policy], [decode.policy]
//   [prefill] batch   [decode] batch
//   [workload] isl osl prefix nextn_accepted
//   [prices] usd_per_gpu_hour utilisation api_input_miss api_input_hit api_output

// One layer of settings: values by dotted key, and where they stand.
struct Setting {
  std::string key, literal, origin;
};  // literal: a TOML value; origin: "built in", "file:line", "FATHOM_ISL", "--isl"
// Lays `layers` over each other, later ones winning, and reads the result. Errors name the origin of the value at fault.
// Throws Error{bad_file} for values from files, Error{usage} for the others.
Scenario read_scenario(const std::vector<Setting>& settings);
// The settings of a scenario file, in file order, with "file:line" origins. Throws Error{bad_file}, Error{io}.
std::vector<Setting> read_settings(const std::string& path);
std::vector<Setting> parse_settings(std::string_view toml, const std::string& file);
// "prefill.layout.tp" -> "layout.tp", "decode_system" -> "system": the key that sets this one and others; empty if there is none.
std::string general_key(std::string_view key);

// What may stand at a key of a scenario.
enum class SettingKind : std::uint8_t { integer, number, boolean, word, text };
struct SettingInfo {
  std::string key{};
  SettingKind kind = SettingKind::text;
  double least = 0, most = 0;        // of numbers
  bool optional = false;             // absent means something else than any number
  std::vector<std::string> words{};  // of a word
};
// Every key that effective_settings() may give, but for those below model.
std::vector<SettingInfo> scenario_keys();

// What is in force: one setting a key, the winner of each, built-in defaults included.
std::vector<Setting> effective_settings(const std::vector<Setting>& settings);

}  // namespace fathom::simulator
