#pragma once

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/layer_norm.h"

namespace fathom::kernels::cpu {

// x, y [tokens, width]; weight, bias [1, width].
template <class S, class In, class Weight, class Bias, class Out>
void layer_norm(const model_spec::LayerNorm<std::int64_t>& op, float eps, const In& x, const Weight& weight, const Bias& bias, Out& y) {
  const S width(static_cast<float>(op.width));
  for (std::int64_t t = 0; t < op.tokens; ++t) {
    const std::vector<S> row = load_row<S>(DType::bf16, x, t, op.width);
    S sum(0.0f), squares(0.0f);
    for (const S& v : row) sum = sum + v;
    const S mean = sum / width;
    for (const S& v : row) {
      const S difference = v - mean;
      squares = squares + difference * difference;
    }
    const S factor = S(1.0f) / square_root(squares / width + S(eps));
    for (std::int64_t c = 0; c < op.width; ++c) y.set(t, c, S(weight.get(0, c)) * ((row[c] - mean) * factor) + S(bias.get(0, c)));
  }
}

}  // namespace fathom::kernels::cpu
