// When the priced steps of a bound plan run. Repeated blocks are not unrolled: n repeats cost the first, n - 2 steady intervals and the last.
#pragma once

#include "model_spec/trace.h"
#include "simulator/machine.h"

namespace fathom::simulator {

// trace.steps hold one row per bound step with its duration; these fill in starts, blocks and the total.

// One step after the other.
void schedule_serial(const BoundPlan&, Trace&);

// Two micro-batches of half the size, each the bound steps in order; compute of one runs under communication of the other (and a
// micro-batch's own independent steps under its communication). The trace afterwards holds the rows of both, micro_batch 0 and 1.
void schedule_two_batch(const BoundPlan&, Trace&);

}  // namespace fathom::simulator
