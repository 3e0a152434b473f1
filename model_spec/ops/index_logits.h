#pragma once

#include "model_spec/ops/cache.h"
#include "model_spec/ops/pairs.h"

namespace fathom::model_spec {

// I[t, s] = sk[s] * sum_h w[t, h] * relu(q[t, h, :] . k[s, :]) for keys s up to t: the lightning indexer's scores (DSA).
// q e4m3[tokens, heads, dims] and w fp32[tokens, heads] (the query's scale and the softmax-free weight folded in), keys from the index
// cache, I fp32, one row a query. tokens = sequences * new_tokens.
template <class N>
struct IndexLogits {
  N sequences{}, new_tokens{}, cached_tokens{}, heads{}, dims{};

  static constexpr std::string_view name = "index_logits";
  static constexpr auto fields() {
    return std::tuple{Field{"sequences", "sequences", &IndexLogits::sequences}, Field{"new_tokens", "tokens", &IndexLogits::new_tokens},
                      Field{"cached_tokens", "tokens", &IndexLogits::cached_tokens}, Field{"heads", "heads", &IndexLogits::heads},
                      Field{"dims", "elements", &IndexLogits::dims}};
  }
};

template <class N>
Cost<N> cost(const IndexLogits<N>& op) {
  const N pairs = op.sequences * dense_pairs(op.new_tokens, op.cached_tokens);
  const N tokens = op.sequences * op.new_tokens;
  const N keys = op.sequences * (op.cached_tokens + op.new_tokens);
  Cost<N> c;
  c.matrix(Arithmetic::fp8) = 2 * pairs * op.heads * op.dims;
  c.vector_flops = pairs * (3 * op.heads + 1);  // relu, product, sum per head; the key's scale
  c.hbm_read_bytes = tokens * op.heads * (op.dims + 4) + index_cache_bytes(keys, op.dims);
  c.hbm_write_bytes = 4 * pairs;
  c.gathered_bytes = pairs * index_cache_bytes(N(1), op.dims);
  return c;
}

}  // namespace fathom::model_spec
