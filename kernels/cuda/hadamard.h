#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/hadamard.h"

namespace fathom::kernels::cuda {

// x bf16[tokens * heads, width] -> y of the same shape: fp8_row (a scale a row) or bf16. width = 2^stages, at most 256.
void hadamard(const model_spec::Hadamard<std::int64_t>& op, const Matrix& x, const Matrix& y, Stream);

}  // namespace fathom::kernels::cuda
