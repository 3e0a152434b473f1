#pragma once

#include "kernels/cpu/quantise.h"
#include "model_spec/ops/rms_norm.h"

namespace fathom::kernels::cpu {

// x[tokens, width]; residual[tokens, width] is read and becomes x + residual (if op.residual); weight[1, width];
// out[tokens, width] of op.output; kept bf16[tokens, width] (if op.keep_bf16).
template <class S, class In, class Residual, class Weight, class Out, class Kept>
void rms_norm(const model_spec::RmsNorm<std::int64_t>& op, float eps, Scales scales, const In& x, Residual& residual, const Weight& weight, Out& out,
              Kept& kept) {
  for (std::int64_t t = 0; t < op.tokens; ++t) {
    std::vector<S> row = load_row<S>(DType::bf16, x, t, op.width);
    S squares(0.0f);
    for (std::int64_t c = 0; c < op.width; ++c) {
      if (op.residual) {
        row[c] = row[c] + S(residual.get(t, c));
        residual.set(t, c, row[c]);
      }
      squares = squares + row[c] * row[c];
    }
    const S factor = S(1.0f) / square_root(squares / S(static_cast<float>(op.width)) + S(eps));
    for (std::int64_t c = 0; c < op.width; ++c) row[c] = S(weight.get(0, c)) * (row[c] * factor);
    store_row<S>(op.output, scales, row, t, out);
    if (op.keep_bf16) store_row<S>(DType::bf16, scales, row, t, kept);
  }
}

}  // namespace fathom::kernels::cpu
