#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/rope.h"

namespace fathom::kernels::cuda {

// x bf16[tokens * heads, dims] in place, may be a column slice; cosines, sines fp32[tokens, dims / 2].
void rope(const model_spec::Rope<std::int64_t>& op, const Matrix& x, const float* cosines, const float* sines, Stream);

}  // namespace fathom::kernels::cuda
