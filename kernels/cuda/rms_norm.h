#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/rms_norm.h"

namespace fathom::kernels::cuda {

// x bf16[tokens, width]; residual bf16[tokens, width] becomes x + residual (op.residual; computed on from the unrounded sum); weight bf16[width];
// y op.output[tokens, width], quantised from the bf16-rounded result; kept bf16[tokens, width] (op.keep_bf16). x, y and kept may be column
// slices; y may be x. rows int32[tokens]: row t of y comes from row rows[t] of x and residual, which then stays as it is; null: row t.
void rms_norm(const model_spec::RmsNorm<std::int64_t>& op, float eps, const Matrix& x, const Matrix& residual, const Matrix& weight, const Matrix& y,
              const Matrix& kept, const std::int32_t* rows, Stream);

}  // namespace fathom::kernels::cuda
