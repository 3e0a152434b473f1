// Times of operators on one GPU. No CUDA header.
#pragma once

#include <memory>
#include <string>

#include "executor/bench.h"
#include "executor/numerics.h"
#include "model_spec/model.h"
#include "model_spec/units.h"

namespace fathom::executor {

// An operator that was timed, or why it was not.
struct Timing {
  model_spec::Op op;  // as it ran, the loads of experts filled in
  std::int64_t n = 0;
  model_spec::Seconds median{}, p10{}, p90{};  // of n replays of a graph, divided by the launches in it
  std::string reason;                          // its operands do not fit into the device's memory
};

class Bench {
 public:
  // Throws Error{device} where the kernels do not run.
  Bench(const model_spec::ModelSpec&, Numerics);
  ~Bench();
  // One after the other: a graph of launches on rotating sets of random operands, long enough to time, replayed. Throws Error{device} for a call
  // that failed, and for an operator that did not write its results.
  Timing time(const BenchRecord&);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fathom::executor
