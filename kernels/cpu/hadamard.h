#pragma once

#include "kernels/cpu/quantise.h"
#include "model_spec/ops/hadamard.h"

namespace fathom::kernels::cpu {

// x[tokens * heads, width] -> y of the same shape and type op.output; width = 2^stages.
template <class S, class In, class Out>
void hadamard(const model_spec::Hadamard<std::int64_t>& op, Scales scales, const In& x, Out& y) {
  assert(op.width == std::int64_t{1} << op.stages);
  const S factor(1 / std::sqrt(static_cast<float>(op.width)));
  for (std::int64_t r = 0; r < op.tokens * op.heads; ++r) {
    std::vector<S> row = load_row<S>(DType::bf16, x, r, op.width);
    for (std::int64_t half = 1; half < op.width; half *= 2)
      for (std::int64_t c = 0; c < op.width; ++c) {
        if (c & half) continue;
        const S a = row[c], b = row[c + half];
        row[c] = a + b;
        row[c + half] = a - b;
      }
    for (S& v : row) v = v * factor;
    store_row<S>(op.output, scales, row, r, y);
  }
}

}  // namespace fathom::kernels::cpu
