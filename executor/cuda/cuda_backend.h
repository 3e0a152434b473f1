// Steps of a plan on one GPU: the kernels of kernels/cuda on one stream, as a CUDA graph when a step comes again (step_graph.h). Nothing inside a step
// waits for the host, unless somebody watches it or forces choices on it.
#pragma once

#include <memory>

#include "executor/backend.h"
#include "executor/numerics.h"
#include "executor/weights.h"

namespace fathom::executor {

// The reason why the GPU cannot run this plan in these numerics, in one line, or nothing.
std::optional<std::string> check_cuda(const model_spec::Plan&, Numerics);

// numerics bf16 or fp8. pages: of the caches. Loads the weights (device_weights.h). Throws Error{device}, also where there is no device, or not
// enough memory for weights and caches: that is said before anything is loaded. The plan stays alive.
std::unique_ptr<Backend> make_cuda_backend(const model_spec::Plan&, const model_spec::Place&, Numerics, const WeightSource&, const LoadProgress&,
                                           std::int64_t pages);

// Every record of the caches of such a backend, by rule: valid codes, finite scales. For benchmarks.
void fill_caches(Backend&, std::uint64_t seed);

}  // namespace fathom::executor
