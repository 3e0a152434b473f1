#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/quantise.h"

namespace fathom::kernels::cuda {

// x bf16[tokens, width], may be a column slice -> y[tokens, width] of op.output: fp8_row with UE8M0 scales, bit-exact with kernels/cpu/quantise.h;
// or bf16, a copy.
void quantise(const model_spec::Quantise<std::int64_t>& op, const Matrix& x, const Matrix& y, Stream);

}  // namespace fathom::kernels::cuda
