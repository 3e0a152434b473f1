#pragma once

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/batched_gemm.h"

namespace fathom::kernels::cpu {

// a[tokens * heads, in], weights[h] the matrix [in, out] of head h, c[tokens * heads, out].
template <class S, class In, class Weights, class Out>
void batched_gemm(const model_spec::BatchedGemm<std::int64_t>& op, const In& a, const Weights& weights, Out& c) {
  for (std::int64_t h = 0; h < op.heads; ++h) {
    std::vector<S> sums(static_cast<std::size_t>(op.tokens * op.out), S(0.0f));
    for (std::int64_t k = 0; k < op.in; ++k) {
      const std::vector<S> w = load_row<S>(op.weight, weights[h], k, op.out);
      for (std::int64_t t = 0; t < op.tokens; ++t)
        for (std::int64_t n = 0; n < op.out; ++n) sums[t * op.out + n] = mul_add(S(a.get(t * op.heads + h, k)), w[n], sums[t * op.out + n]);
    }
    for (std::int64_t t = 0; t < op.tokens; ++t)
      for (std::int64_t n = 0; n < op.out; ++n) c.set(t * op.heads + h, n, sums[t * op.out + n]);
  }
}

}  // namespace fathom::kernels::cpu
