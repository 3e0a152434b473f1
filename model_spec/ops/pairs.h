// How many (query, key) pairs a causal attention step works on: T new tokens per sequence after C cached ones.
#pragma once

#include "model_spec/number.h"

namespace fathom::model_spec {

// sum_{i=1..T} (C + i)
template <class N>
N dense_pairs(const N& new_tokens, const N& cached_tokens) {
  return new_tokens * cached_tokens + new_tokens * (new_tokens + 1) / 2;
}

// sum_{i=1..T} min(k, C + i): the first max(k - C, 0) tokens see everything, the others k keys.
template <class N>
N sparse_pairs(const N& new_tokens, const N& cached_tokens, const N& topk) {
  const N short_rows = minimum(maximum(topk - cached_tokens, N(0)), new_tokens);
  return short_rows * cached_tokens + short_rows * (short_rows + 1) / 2 + (new_tokens - short_rows) * topk;
}

}  // namespace fathom::model_spec
