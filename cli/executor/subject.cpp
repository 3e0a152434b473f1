#include "cli/executor/subject.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/executor/options.h"
#include "executor/checkpoint.h"
#include "executor/synthetic.h"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t largest_seed = std::int64_t{1} << 53;  // numbers on the command line are read as doubles

// The value of --model if it names a folder.
std::optional<fs::path> folder_of(const Request& request) {
  const auto model = std::ranges::find(request.settings, "model", &Setting::key);
  if (model == request.settings.end()) return std::nullopt;
  const auto toml = parse_toml("path = " + model->literal + "\n", "--model");
  const fs::path path(std::get<std::string>(toml.find("path")->data));
  std::error_code none;
  if (fs::is_directory(path, none)) return path;
  return std::nullopt;
}

bool holds_weights(const fs::path& folder) {
  std::error_code none;
  return fs::exists(folder / "model.safetensors", none) || fs::exists(folder / "model.safetensors.index.json", none);
}

// "eos_token_id" is a number, or a list of them of which the first ends a turn.
std::optional<std::int32_t> end_of_text(const fs::path& folder) {
  std::error_code none;
  if (!fs::exists(folder / "config.json", none)) return std::nullopt;
  const auto config = nlohmann::json::parse(read_text_file((folder / "config.json").string()), nullptr, false);
  auto id = config.is_object() ? config.value("eos_token_id", nlohmann::json()) : nlohmann::json();
  if (id.is_array() && !id.empty()) id = nlohmann::json(id.front());
  return id.is_number_integer() ? std::optional(id.get<std::int32_t>()) : std::nullopt;
}

void take_checkpoint(Subject& s, const Request& request) {
  if (!s.folder || !holds_weights(*s.folder))
    throw Error(Failure::usage,
                fmt::format("{}: {} comes without weights (no model.safetensors or its index): give --synthetic SEED", request.verb, s.model.name));
  if (request.has("experts")) throw Error(Failure::usage, "--experts: a checkpoint's experts are all or none; with --synthetic SEED they can be cut");
  if (request.has("layers") && s.policy.mtp_depth > 0)
    throw Error(Failure::usage, "--layers: a checkpoint's prediction layer reads what its last layer writes: --nextn goes with all layers only");
  s.weights = std::make_shared<executor::Checkpoint>(executor::Checkpoint::open(*s.folder));
}

}  // namespace

// Of a workload there is none, and without a layout it is one rank.
Scenario flags_scenario(const Request& request, std::vector<Setting> defaults) {
  for (const auto* key : {"workload.isl", "workload.osl", "layout.tp"}) defaults.push_back({key, "1", "built in"});
  defaults.insert(defaults.end(), request.settings.begin(), request.settings.end());
  return read_scenario(defaults);
}

ModelSpec cut_of(const Request& request, const ModelSpec& model) {
  return cut(model, whole_option(request, "layers", 1, 1'000'000), whole_option(request, "experts", 1, 1'000'000));
}

Subject subject_of(const Request& request) {
  const auto scenario = flags_scenario(request);
  Subject s{.model = scenario.model,
            .layout = scenario.decode.layout,
            .policy = scenario.decode.policy,
            .calibration = scenario.calibration,
            .folder = folder_of(request),
            .weights = {},
            .seed = {},
            .end_of_text = {}};
  s.policy.mtp_normed_hidden = request.option("mtp-hidden", "normed") == "normed";
  if (s.folder) s.end_of_text = end_of_text(*s.folder);
  if (const auto seed = whole_option(request, "synthetic", 0, largest_seed)) {
    s.seed = static_cast<std::uint64_t>(*seed);
    s.weights = std::make_shared<executor::SyntheticWeights>(*s.seed, s.model.storage.embedding);
  } else {
    take_checkpoint(s, request);
  }
  s.model = cut_of(request, s.model);
  return s;
}

}  // namespace fathom::cli
