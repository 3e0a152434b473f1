#include "executor/cuda/graph.h"

#include "kernels/cuda/check.h"

namespace fathom::executor {

using kernels::cuda::check;

Event make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  return Event(event);
}

double seconds_between(const Event& from, const Event& to) {
  float ms = 0;
  check(cudaEventElapsedTime(&ms, from.get(), to.get()), "cudaEventElapsedTime");
  return ms * 1e-3;
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

}  // namespace fathom::executor
