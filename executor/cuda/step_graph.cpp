#include "executor/cuda/step_graph.h"

#include <algorithm>

#include "kernels/cuda/check.h"

namespace fathom::executor {

using kernels::cuda::check;

Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  return Event(event);
}

// Thread-local: other threads may allocate meanwhile.
Capture::Capture(cudaStream_t stream) : stream_(stream) { check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture"); }

Capture::~Capture() {
  if (!running_) return;
  cudaGraph_t dropped = nullptr;
  cudaStreamEndCapture(stream_, &dropped);
  if (dropped) cudaGraphDestroy(dropped);
  cudaGetLastError();  // what went wrong has been thrown already
}

ExecutableGraph Capture::take() {
  running_ = false;
  cudaGraph_t raw = nullptr;
  check(cudaStreamEndCapture(stream_, &raw), "cudaStreamEndCapture");
  const CudaOwner<cudaGraph_t> graph(raw);
  cudaGraphExec_t executable = nullptr;
  check(cudaGraphInstantiate(&executable, raw, 0), "cudaGraphInstantiate");
  return ExecutableGraph(executable);
}

StepGraph* StepGraphs::find(const GraphKey& key) {
  auto [found, made] = graphs_.try_emplace(key);
  found->second.last_used = ++uses_;
  if (!made) return &found->second;
  if (graphs_.size() > most) graphs_.erase(std::ranges::min_element(graphs_, {}, [](const auto& entry) { return entry.second.last_used; }));
  return nullptr;
}

}  // namespace fathom::executor
