// What is run: the model, how it is spread, and where its weights come from.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "cli/request.h"
#include "executor/weights.h"

namespace fathom::cli {

struct Subject {
  ModelSpec model;
  Layout layout;
  Policy policy;
  std::string calibration;                      // of --compare; empty: the profile's own
  std::optional<std::filesystem::path> folder;  // that the model came from
  std::shared_ptr<const executor::WeightSource> weights;
  std::optional<std::uint64_t> seed;        // of synthetic weights
  std::optional<std::int32_t> end_of_text;  // by the folder's config.json
};

// Model, layout and policy as the flags say, over `defaults`. Flags alone count: no scenario file, no environment. Throws Error.
Scenario flags_scenario(const Request&, std::vector<Setting> defaults = {});
// The model with --layers and --experts.
ModelSpec cut_of(const Request&, const ModelSpec&);

// As the flags say; a checkpoint's files are opened, its weights are not read. Throws Error.
Subject subject_of(const Request&);

}  // namespace fathom::cli
