#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/gate.h"

namespace fathom::kernels::cuda {

// logits fp32[tokens, experts], bias fp32[experts] -> ids int32[tokens, topk] and weights fp32[tokens, topk], best first; rows of both are `stride`
// elements apart. Ties go to the smaller id. At most 1024 experts, 32 groups, topk 32.
void gate(const model_spec::Gate<std::int64_t>& op, float route_scale, const Matrix& logits, const float* bias, std::int32_t* ids, float* weights,
          std::int64_t stride, Stream);

}  // namespace fathom::kernels::cuda
