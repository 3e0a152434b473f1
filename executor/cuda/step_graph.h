// A step as a CUDA graph: captured when it comes a second time, launched as a whole from then on.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "executor/backend.h"
#include "executor/cuda/graph.h"

namespace fathom::executor {

// What decides which kernels a step launches and with which arguments: steps with the same key differ only in what device memory holds.
using GraphKey = std::vector<std::int64_t>;
// The lengths of contexts count only where activations hold them; StepInputs::longest() stands for those that grow by a token each step. Groups alike
// are one, but in a timed step, which has an event for every group.
GraphKey graph_key(const model_spec::BoundPlan&, const StepInput&);

struct StepGraph {
  ExecutableGraph graph;      // null: seen once, launched kernel by kernel
  std::vector<Event> events;  // that it records: before the first step and after each; empty if it is not timed
  std::uint64_t last_used = 0;
};

// The graphs of the keys used last. What a graph refers to must stay where it is: clear() when memory moves.
class StepGraphs {
 public:
  // Finds the key, or takes note of it. Null: never seen before, so that memory may still grow.
  StepGraph* find(const GraphKey&);
  void clear() { graphs_.clear(); }

 private:
  static constexpr std::size_t most = 64;  // a graph of 61 layers has some 3,000 kernels, and a process a few batch sizes
  std::map<GraphKey, StepGraph> graphs_;
  std::uint64_t uses_ = 0;
};

}  // namespace fathom::executor
