#pragma once

#include "model_spec/ops/cache.h"
#include "model_spec/ops/pairs.h"

namespace fathom::model_spec {

// Vector work of a softmax: scale, maximum, difference, exponential, sum for each (pair, head).
template <class N>
N softmax_flops(const N& pairs, const N& heads) {
  return 5 * pairs * heads;
}

// o[t, h] = sum_s softmax_s(scale * q[t, h] . k[s, h]) v[s, h], causal: MLA with keys and values expanded per head (prefill).
// q bf16[tokens, heads, nope + rope]; kv bf16[keys, heads, nope + v] from kv_b; k_pe bf16[keys, rope], shared by the heads;
// o bf16[tokens, heads, v]. With `masked` a bit per (query, key) masks the keys that the indexer did not pick: same work, DSA's result.
template <class N>
struct DenseMha {
  N sequences{}, new_tokens{}, cached_tokens{}, heads{}, nope{}, rope{}, v{};
  bool masked = false;

  static constexpr std::string_view name = "dense_mha";
  static constexpr auto fields() {
    return std::tuple{Field{"sequences", "sequences", &DenseMha::sequences},
                      Field{"new_tokens", "tokens", &DenseMha::new_tokens},
                      Field{"cached_tokens", "tokens", &DenseMha::cached_tokens},
                      Field{"heads", "heads", &DenseMha::heads},
                      Field{"nope", "elements", &DenseMha::nope},
                      Field{"rope", "elements", &DenseMha::rope},
                      Field{"v", "elements", &DenseMha::v},
                      Field{"masked", "switch", &DenseMha::masked}};
  }
};

template <class N>
Cost<N> cost(const DenseMha<N>& op) {
  const N pairs = op.sequences * dense_pairs(op.new_tokens, op.cached_tokens);
  const N tokens = op.sequences * op.new_tokens;
  const N keys = op.sequences * (op.cached_tokens + op.new_tokens);
  Cost<N> c;
  c.matrix(Arithmetic::bf16) = 2 * pairs * op.heads * (op.nope + op.rope + op.v);
  c.vector_flops = softmax_flops(pairs, op.heads) + tokens * op.heads * op.v;
  c.hbm_read_bytes = 2 * tokens * op.heads * (op.nope + op.rope) + 2 * keys * (op.heads * (op.nope + op.v) + op.rope);
  if (op.masked) c.hbm_read_bytes = c.hbm_read_bytes + pairs / 8;
  c.hbm_write_bytes = 2 * tokens * op.heads * op.v;
  c.gathered_bytes = 2 * pairs * op.heads * (op.nope + op.rope + op.v);
  return c;
}

// The same attention in absorbed form over the latent cache: score = scale * (q~ . c_kv + q_pe . k_pe), o~ = sum p c_kv.
// q bf16[tokens, heads, latent + rope], o bf16[tokens, heads, latent]; one shared key a token.
template <class N>
struct DenseMqa {
  N sequences{}, new_tokens{}, cached_tokens{}, heads{}, latent{}, rope{};
  CacheFormat cache = CacheFormat::bf16;

  static constexpr std::string_view name = "dense_mqa";
  static constexpr auto fields() {
    return std::tuple{Field{"sequences", "sequences", &DenseMqa::sequences},
                      Field{"new_tokens", "tokens", &DenseMqa::new_tokens},
                      Field{"cached_tokens", "tokens", &DenseMqa::cached_tokens},
                      Field{"heads", "heads", &DenseMqa::heads},
                      Field{"latent", "elements", &DenseMqa::latent},
                      Field{"rope", "elements", &DenseMqa::rope},
                      Field{"cache", "format", &DenseMqa::cache}};
  }
};

// Work and query traffic of absorbed attention over `pairs` (query, key) pairs; the keys' traffic is added by its caller. Each gathered
// latent is dequantised once for all heads.
template <class N>
Cost<N> absorbed_cost(CacheFormat cache, const N& pairs, const N& tokens, const N& heads, const N& latent, const N& rope) {
  Cost<N> c;
  c.matrix(Arithmetic::bf16) = 2 * pairs * heads * (latent + rope + latent);
  c.vector_flops = softmax_flops(pairs, heads) + tokens * heads * latent;
  if (cache == CacheFormat::fp8) c.vector_flops = c.vector_flops + pairs * latent;
  c.hbm_read_bytes = 2 * tokens * heads * (latent + rope);
  c.hbm_write_bytes = 2 * tokens * heads * latent;
  return c;
}

template <class N>
Cost<N> cost(const DenseMqa<N>& op) {
  const N pairs = op.sequences * dense_pairs(op.new_tokens, op.cached_tokens);
  const N keys = op.sequences * (op.cached_tokens + op.new_tokens);
  Cost<N> c = absorbed_cost(op.cache, pairs, op.sequences * op.new_tokens, op.heads, op.latent, op.rope);
  c.hbm_read_bytes = c.hbm_read_bytes + latent_cache_bytes(op.cache, keys, op.latent, op.rope);
  c.gathered_bytes = latent_cache_bytes(op.cache, pairs, op.latent, op.rope);
  return c;
}

// Absorbed attention over the keys that the indexer picked: at most topk for each query, shared by all heads (DSA).
// indices int32[tokens, topk]. cache = fp8: gathered in the cache's layout and dequantised in the kernel (decode); bf16: gathered from a
// bf16 copy (prefill). Distinct keys are at most the whole context and at most the pairs.
template <class N>
struct SparseMla {
  N sequences{}, new_tokens{}, cached_tokens{}, heads{}, latent{}, rope{}, topk{};
  CacheFormat cache = CacheFormat::fp8;

  static constexpr std::string_view name = "sparse_mla";
  static constexpr auto fields() {
    return std::tuple{Field{"sequences", "sequences", &SparseMla::sequences},
                      Field{"new_tokens", "tokens", &SparseMla::new_tokens},
                      Field{"cached_tokens", "tokens", &SparseMla::cached_tokens},
                      Field{"heads", "heads", &SparseMla::heads},
                      Field{"latent", "elements", &SparseMla::latent},
                      Field{"rope", "elements", &SparseMla::rope},
                      Field{"topk", "keys", &SparseMla::topk},
                      Field{"cache", "format", &SparseMla::cache}};
  }
};

template <class N>
Cost<N> cost(const SparseMla<N>& op) {
  const N row_pairs = sparse_pairs(op.new_tokens, op.cached_tokens, op.topk);
  const N pairs = op.sequences * row_pairs;
  const N tokens = op.sequences * op.new_tokens;
  const N keys = op.sequences * minimum(row_pairs, op.cached_tokens + op.new_tokens);
  Cost<N> c = absorbed_cost(op.cache, pairs, tokens, op.heads, op.latent, op.rope);
  c.hbm_read_bytes = c.hbm_read_bytes + latent_cache_bytes(op.cache, keys, op.latent, op.rope) + 4 * tokens * op.topk;
  c.gathered_bytes = latent_cache_bytes(op.cache, pairs, op.latent, op.rope);
  return c;
}

}  // namespace fathom::model_spec
