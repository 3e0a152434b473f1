// Plan -> Trace by arithmetic.
#pragma once

#include "model_spec/trace.h"
#include "simulator/machine.h"

namespace fathom::simulator {

// Predicts one step of a stage: every operator priced, then scheduled by the plan's policy (no overlap, or two-batch overlap).
// Reuse `bound` and `out`: nothing is allocated once they have grown.
void simulate(const Plan&, std::size_t stage, const Machine&, const Batch&, BoundPlan& bound, Trace& out);

// The batch split in two for two-batch overlap: half the sequences, or half the tokens of a single one.
Batch half_batch(const Batch&);

}  // namespace fathom::simulator
