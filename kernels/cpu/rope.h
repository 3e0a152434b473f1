#pragma once

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/rope.h"

namespace fathom::kernels::cpu {

// x[tokens * heads, dims] in place; cosines, sines [tokens, dims / 2].
template <class S, class X, class Cosines, class Sines>
void rope(const model_spec::Rope<std::int64_t>& op, X& x, const Cosines& cosines, const Sines& sines) {
  for (std::int64_t row = 0; row < op.tokens * op.heads; ++row)
    for (std::int64_t i = 0; i < op.dims / 2; ++i) {
      const std::int64_t first = op.interleaved ? 2 * i : i, second = op.interleaved ? 2 * i + 1 : i + op.dims / 2;
      const S a(x.get(row, first)), b(x.get(row, second));
      const S cosine(cosines.get(row / op.heads, i)), sine(sines.get(row / op.heads, i));
      x.set(row, first, a * cosine - b * sine);
      x.set(row, second, a * sine + b * cosine);
    }
}

}  // namespace fathom::kernels::cpu
