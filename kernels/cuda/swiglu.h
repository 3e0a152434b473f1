#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/swiglu.h"

namespace fathom::kernels::cuda {

// x bf16[capacity, 2 * width] holds a then b; y[capacity, width] of op.output, quantised from the bf16-rounded result. rows: how many rows came, in
// device memory; null: x.rows.
void swiglu(const model_spec::SwiGlu<std::int64_t>& op, const Matrix& x, const Matrix& y, const std::int32_t* rows, Stream);

}  // namespace fathom::kernels::cuda
