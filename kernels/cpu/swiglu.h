#pragma once

#include "kernels/cpu/quantise.h"
#include "model_spec/ops/swiglu.h"

namespace fathom::kernels::cpu {

// x[rows, 2 * width] -> y[rows, width] of op.output; op.rows is the whole number of rows that came.
template <class S, class In, class Out>
void swiglu(const model_spec::SwiGlu<std::int64_t>& op, Scales scales, const In& x, Out& y) {
  for (std::int64_t r = 0; r < static_cast<std::int64_t>(op.rows); ++r) {
    std::vector<S> row;
    for (std::int64_t c = 0; c < op.width; ++c) {
      const S a(x.get(r, c)), b(x.get(r, op.width + c));
      row.push_back(a / (S(1.0f) + exponential(-a)) * b);
    }
    store_row<S>(op.output, scales, row, r, y);
  }
}

}  // namespace fathom::kernels::cpu
