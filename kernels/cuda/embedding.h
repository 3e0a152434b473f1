#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/embedding.h"

namespace fathom::kernels::cuda {

// ids int32[tokens]; table bf16[vocab, hidden] holds the rows of ids first_id .. first_id + vocab; y bf16[tokens, hidden]. An id that is not
// among them gives zeros.
void embedding(const model_spec::Embedding<std::int64_t>& op, std::int64_t first_id, const std::int32_t* ids, const Matrix& table, const Matrix& y, Stream);

}  // namespace fathom::kernels::cuda
