// --grid of `fathom bench`: batches that operators are timed at.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model_spec/batch.h"
#include "model_spec/model.h"

namespace fathom::cli {

// Every combination of the values of KEY=V1,V2,... with the keys sequences, new and cached (tokens of each sequence). A key that is not given
// has one value: 1 sequence, 1 new token, 4Ki cached ones. No terms: decode steps and chunks of prompts that an H200 has room for, as far as the model's
// positions go. Throws Error{usage} for what is none, and for contexts that the model has no positions for.
std::vector<model_spec::Group> grid_of(std::span<const std::string> terms, const model_spec::ModelSpec&);

}  // namespace fathom::cli
