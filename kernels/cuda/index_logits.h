#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/index_logits.h"

namespace fathom::kernels::cuda {

// logits[t, s] = factor * sk[s] * sum_h w[t, h] * sq[t, h] * relu(q[t, h, :] . k[s, :]) for the keys s < context.visible[t] of t's sequence.
// q [tokens * heads, dims] fp8_row or bf16 like the cache, w fp32[tokens, heads], logits fp32[tokens, >= max_visible]. Tensor cores,
// within 1e-5 of the largest logit; for 64 heads of 128 dims in fp8 (V3.2) within 5e-4, for then the tensor cores keep about 14 bits of a sum. Queries of a
// sequence follow each other; op.new_tokens of them, or fewer, share a read of the keys. heads a multiple of 8 up to 128, dims 32, 64 or 128.
void index_logits(const model_spec::IndexLogits<std::int64_t>& op, std::int64_t tokens, float factor, const Matrix& q, const Matrix& w, const IndexCache& cache,
                  const Context& context, const Matrix& logits, Stream);

}  // namespace fathom::kernels::cuda
