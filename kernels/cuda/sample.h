#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/sample.h"

namespace fathom::kernels::cuda {

// logits fp32[tokens, vocab] -> ids int32[tokens]. temperature 0: the largest logit, of equal ones the smallest id; otherwise the largest of
// exp((logit - most) / temperature) / noise among the likeliest tokens whose probabilities together reach top_p, noise being draw v of stream
// streams[t] (executor/sampling.h says which numbers those are).
void sample(const model_spec::Sample<std::int64_t>& op, float temperature, float top_p, std::uint64_t seed, const Matrix& logits, const std::uint64_t* streams,
            std::int32_t* ids, Stream);

}  // namespace fathom::kernels::cuda
