#pragma once

#include <limits>

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/sample.h"

namespace fathom::kernels::cpu {

// logits[tokens, vocab] -> ids[1, tokens]. noise(t, v) draws from Exp(1); it is not called at temperature 0. The softmax is not
// normalised: its sum changes no choice. Of equal values the smaller id wins.
template <class S, class Logits, class Noise, class Ids>
void sample(const model_spec::Sample<std::int64_t>& op, float temperature, const Logits& logits, Noise noise, Ids& ids) {
  for (std::int64_t t = 0; t < op.tokens; ++t) {
    std::vector<S> row = load_row<S>(DType::fp32, logits, t, op.vocab);
    if (temperature > 0) {
      S most(-std::numeric_limits<float>::infinity());
      for (S& v : row) {
        v = v / S(temperature);
        most = larger(most, v);
      }
      for (std::int64_t v = 0; v < op.vocab; ++v) row[v] = exponential(row[v] - most) / S(noise(t, v));
    }
    std::int64_t best = 0;
    for (std::int64_t v = 0; v < op.vocab; ++v)
      if (row[v] > row[best]) best = v;
    ids.set_integer(0, t, best);
  }
}

}  // namespace fathom::kernels::cpu
