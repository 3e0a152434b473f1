#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/top_k.h"

namespace fathom::kernels::cuda {

constexpr std::int64_t most_topk = 18432;  // candidates stay in shared memory

// The op.topk largest of the first visible[t] numbers of each row of scores fp32[tokens, ...] -> indices int32[tokens, topk], ascending, then -1.
// Exact and deterministic: of equal numbers (-0 equals +0) the smaller index wins; no candidate is dropped. Not a number comes last.
// Rows of scores stand at multiples of 4 elements, and are read up to one.
void top_k(const model_spec::TopK<std::int64_t>& op, std::int64_t tokens, const Matrix& scores, const std::int32_t* visible, const Matrix& indices, Stream);

}  // namespace fathom::kernels::cuda
