// The fp8 wgmma kernel behind index_logits.h.
#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/index_logits.h"

namespace fathom::kernels::cuda {

// The sizes of DeepSeek-V3.2's indexer: 64 heads of 128 dims, e4m3 keys.
inline bool index_logits_take_wgmma(const model_spec::IndexLogits<std::int64_t>& op, const IndexCache& cache) {
  return op.heads == 64 && op.dims == 128 && cache.type == DType::fp8_row;
}
// index_logits for them.
void index_logits_wgmma(const model_spec::IndexLogits<std::int64_t>& op, std::int64_t tokens, float factor, const Matrix& q, const Matrix& w,
                        const IndexCache& cache, const Context& context, const Matrix& logits, Stream);

}  // namespace fathom::kernels::cuda
