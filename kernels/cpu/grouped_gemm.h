#pragma once

#include "kernels/cpu/gemm.h"
#include "model_spec/ops/grouped_gemm.h"

namespace fathom::kernels::cpu {

// a[rows, in] sorted by expert, counts[1, experts] rows an expert, weights[e] the matrix [out, in] of expert e, c[rows, out].
template <class S, class In, class Counts, class Weights, class Out>
void grouped_gemm(const model_spec::GroupedGemm<std::int64_t>& op, const In& a, const Counts& counts, const Weights& weights, Out& c) {
  std::int64_t row = 0;
  for (std::int64_t e = 0; e < op.experts; ++e)
    for (const std::int64_t end = row + counts.integer(0, e); row < end; ++row)
      for (std::int64_t n = 0; n < op.out; ++n) c.set(row, n, scaled_dot<S>(op.activation, op.weight, op.in, a, row, weights[e], n));
}

}  // namespace fathom::kernels::cpu
