#pragma once

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/index_logits.h"

namespace fathom::kernels::cpu {

// q[tokens * heads, dims] e4m3 whose scales are in the weights; weights[tokens, heads]; keys[sequences * (C + T), dims] with one scale a key;
// logits[tokens, C + T], of which row i of a sequence holds C + i + 1.
template <class S, class Query, class Weights, class Keys, class Out>
void index_logits(const model_spec::IndexLogits<std::int64_t>& op, const Query& q, const Weights& weights, const Keys& keys, Out& logits) {
  assert(op.dims <= model_spec::scale_block);
  const std::int64_t context = op.cached_tokens + op.new_tokens;
  for (std::int64_t t = 0; t < op.sequences * op.new_tokens; ++t) {
    const std::int64_t first_key = t / op.new_tokens * context, visible = op.cached_tokens + t % op.new_tokens + 1;
    for (std::int64_t j = 0; j < visible; ++j) {
      std::vector<S> key;
      for (std::int64_t c = 0; c < op.dims; ++c) key.push_back(S(keys.get(first_key + j, c)));
      S sum(0.0f);
      for (std::int64_t h = 0; h < op.heads; ++h) {
        S dot(0.0f);
        for (std::int64_t c = 0; c < op.dims; ++c) dot = mul_add(S(q.get(t * op.heads + h, c)), key[c], dot);
        sum = sum + S(weights.get(t, h)) * larger(dot, S(0.0f));
      }
      logits.set(t, j, sum * S(keys.scale(first_key + j, 0)));
    }
  }
}

}  // namespace fathom::kernels::cpu
