// Times of whole steps on one GPU, behind caches that are filled by rule. No CUDA header.
#pragma once

#include <memory>
#include <vector>

#include "executor/backend.h"
#include "executor/numerics.h"
#include "executor/weights.h"
#include "model_spec/place.h"
#include "model_spec/trace.h"

namespace fathom::executor {

// Medians of n runs of a step.
struct StepTiming {
  std::int64_t n = 0;
  model_spec::Seconds median{}, p10{}, p90{};  // on the host's clock: inputs sent, the graph launched, ids fetched
  model_spec::Seconds device{};                // of the graph alone
  model_spec::Trace trace;                     // of another graph, with an event between all operators: each one's median, and of the whole step
};

class StepBench {
 public:
  // The plan has one layer a block and stays alive. Caches for the largest of the points. Throws Error{device}, also for what does not fit.
  StepBench(const model_spec::Plan&, Numerics, const WeightSource&, const LoadProgress&, std::span<const model_spec::Group> points);
  ~StepBench();
  // One group as a batch: its sequences' tokens are random, the cached ones' records are the rule's. Those that are timed are replays of a graph.
  StepTiming time(const model_spec::Group&);

 private:
  const model_spec::Plan& plan_;
  std::unique_ptr<Backend> backend_;
};

}  // namespace fathom::executor
