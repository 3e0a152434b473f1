// What is launched on a stream, captured as a graph; and events, which give the time between two places of a stream.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <type_traits>

namespace fathom::executor {

struct DestroyGraph {
  void operator()(cudaGraph_t g) const { cudaGraphDestroy(g); }
  void operator()(cudaGraphExec_t g) const { cudaGraphExecDestroy(g); }
  void operator()(cudaEvent_t e) const { cudaEventDestroy(e); }
};
template <class T>
using CudaOwner = std::unique_ptr<std::remove_pointer_t<T>, DestroyGraph>;
using Event = CudaOwner<cudaEvent_t>;
using ExecutableGraph = CudaOwner<cudaGraphExec_t>;

Event make_event();
double seconds_between(const Event& from, const Event& to);

// Captures what is launched on a stream from its making to take(). If take() is not reached, what was captured is dropped.
class Capture {
 public:
  explicit Capture(cudaStream_t);
  ~Capture();
  Capture(Capture&&) = delete;
  Capture& operator=(Capture&&) = delete;
  ExecutableGraph take();

 private:
  cudaStream_t stream_;
  bool running_ = true;
};

}  // namespace fathom::executor
