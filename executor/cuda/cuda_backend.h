// Steps of a plan on one GPU: the kernels of kernels/cuda on one stream. Nothing but the sampled ids waits for the host.
#pragma once

#include <memory>

#include "executor/backend.h"
#include "executor/numerics.h"
#include "executor/weights.h"

namespace fathom::executor {

// The reason why the GPU cannot run this plan in these numerics, in one line, or nothing.
std::optional<std::string> check_cuda(const model_spec::Plan&, Numerics);

// numerics bf16 or fp8. pages: of the caches. Copies the weights. Throws Error{device}, also where there is no device.
std::unique_ptr<Backend> make_cuda_backend(const model_spec::Plan&, const Place&, Numerics, const RankWeights&, std::int64_t pages);

}  // namespace fathom::executor
