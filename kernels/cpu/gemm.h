#pragma once

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/gemm.h"

namespace fathom::kernels::cpu {

// sum_k A[r, k] * W[n, k]: the partial sum over each of the weight's scale groups, times the scales of both operands, is added in fp32.
template <class S, class In, class Weight>
S scaled_dot(DType activation, DType weight, std::int64_t in, const In& a, std::int64_t r, const Weight& w, std::int64_t n) {
  using model_spec::has_scales;
  assert(!has_scales(activation) || (has_scales(weight) && scale_group(activation, in) == scale_group(weight, in)));
  const std::int64_t group = has_scales(weight) ? scale_group(weight, in) : in;
  S sum(0.0f);
  for (std::int64_t first = 0; first < in; first += group) {
    S part(0.0f);
    for (std::int64_t k = first; k < std::min(first + group, in); ++k) part = mul_add(S(a.get(r, k)), S(w.get(n, k)), part);
    if (!has_scales(weight)) return part;
    if (has_scales(activation)) part = part * S(a.scale(r, first));
    sum = sum + part * S(w.scale(n, first));
  }
  return sum;
}

// a[tokens, in], w[out, in], c[tokens, out] of a type without scales.
template <class S, class In, class Weight, class Out>
void gemm(const model_spec::Gemm<std::int64_t>& op, const In& a, const Weight& w, Out& c) {
  for (std::int64_t t = 0; t < op.tokens; ++t)
    for (std::int64_t n = 0; n < op.out; ++n) c.set(t, n, scaled_dot<S>(op.activation, op.weight, op.in, a, t, w, n));
}

}  // namespace fathom::kernels::cpu
