// kv_b as the absorbed attention multiplies with it.
#pragma once

#include <cstdint>

#include "kernels/cuda/matrix.h"

namespace fathom::kernels::cuda {

// kv_b[heads * (nope + v), latent] holds for each head the rows of W_UK, then those of W_UV; fp32, bf16 or fp8_block. Of each head, in bf16:
// k[nope, latent] = W_UK and v_transposed[latent, v] = W_UV^T.
void absorb(const Matrix& kv_b, const Stack& k, const Stack& v_transposed, Stream);

}  // namespace fathom::kernels::cuda
