#pragma once

#include <span>
#include <string>
#include <vector>

#include "model_spec/trace.h"

namespace fathom::cli {

// Traces of the pipeline stages as Chrome trace events: a process per stage, threads for computation, communication and blocks; times in us.
// Of a block that repeats, the first two repeats are drawn and one event stands for the others, unless all_layers.
// A stage starts when the one before it has ended.
std::string trace_json(const std::vector<model_spec::Trace>& stages, bool all_layers);

// Measured steps one after the other, all layers; the stages of a step at once, as they ran (their waiting is in their exchanges).
std::string measured_trace_json(std::span<const std::vector<model_spec::Trace>> steps);

}  // namespace fathom::cli
