#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/layer_norm.h"

namespace fathom::kernels::cuda {

// x, y bf16[tokens, width], y may be x; weight, bias fp32 or bf16[width].
void layer_norm(const model_spec::LayerNorm<std::int64_t>& op, float eps, const Matrix& x, const Matrix& weight, const Matrix& bias, const Matrix& y, Stream);

}  // namespace fathom::kernels::cuda
