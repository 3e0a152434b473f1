// A step of a plan, done for real.
#pragma once

#include <functional>

#include "executor/backend.h"
#include "model_spec/place.h"
#include "model_spec/trace.h"

namespace fathom::executor {

// Called after each step of a block, while its activations are there to read.
using Observer = std::function<void(const model_spec::Block&, const model_spec::BoundStep&, Backend&)>;

struct Executed {
  StepOutput output;
  model_spec::Trace trace;  // measured seconds; rows have the keys of the simulator's trace of the same plan
};

// Runs one step of the stage at `place`. The plan is unrolled (one block a layer). `bound` is reused memory.
Executed execute(const model_spec::Plan&, const model_spec::Place&, Backend&, const StepInput&, model_spec::BoundPlan& bound, const Observer& observer = {});

}  // namespace fathom::executor
