// What `fathom bench` and `fathom bench step` are asked for.
#pragma once

#include "cli/request.h"
#include "executor/numerics.h"
#include "hardware_profiles/measurement.h"
#include "model_spec/plan.h"
#include "simulator/machine.h"

namespace fathom::cli {

using namespace simulator;

// What is to be timed, and what its times are put beside.
struct BenchTask {
  Plan plan;
  executor::Numerics numerics{};
  Machine machine;
  std::vector<Group> points;  // of the grid
};

// Arguments are words (kinds of operators, say), or further terms of the grid.
struct BenchArguments {
  std::vector<std::string> words, terms;
};
BenchArguments bench_arguments(const Request&);

// whole_step: one block a layer, chunks as long as the longest point, as the executor runs them; without terms one sequence after 4Ki, 32Ki and 128Ki
// tokens, as far as the model's positions go. Throws Error{usage}, also for what the executor does not run.
BenchTask bench_task(const Request&, const std::vector<std::string>& terms, bool whole_step);

// The machine and the programs on it, without measurements. Throws Error{device} where the kernels do not run, or were not built.
hardware_profiles::Measurements measured_here(executor::Numerics);

}  // namespace fathom::cli
