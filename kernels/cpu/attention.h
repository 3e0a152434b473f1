// Tokens are rows sequence * T + i, keys are rows sequence * (C + T) + position: query i of a sequence sees positions 0 .. C + i. A paged
// cache resolves a key's row in its view. Scores, softmax and sums are in S; every row of keys is read once a query.
#pragma once

#include <limits>
#include <span>

#include "kernels/cpu/cache.h"
#include "model_spec/ops/attention.h"

namespace fathom::kernels::cpu {

// For attention without a mask.
struct EveryKey {
  [[nodiscard]] static bool bit(std::int64_t, std::int64_t) { return true; }
};

// Scores become exp(score - largest); returns their sum.
template <class S>
S exponentials(std::span<S> scores) {
  S most(-std::numeric_limits<float>::infinity()), sum(0.0f);
  for (const S& s : scores) most = larger(most, s);
  for (S& s : scores) {
    s = exponential(s - most);
    sum = sum + s;
  }
  return sum;
}

// q[tokens * heads, nope + rope], kv[keys * heads, nope + v], k_pe[keys, rope]; mask.bit(token, position) says whether a key counts (if
// op.masked; at least one a query); o[tokens * heads, v].
template <class S, class Query, class Kv, class Kpe, class Mask, class Out>
void dense_mha(const model_spec::DenseMha<std::int64_t>& op, float scale, const Query& q, const Kv& kv, const Kpe& k_pe, const Mask& mask, Out& o) {
  const std::int64_t context = op.cached_tokens + op.new_tokens;
  for (std::int64_t row = 0; row < op.sequences * op.new_tokens * op.heads; ++row) {
    const std::int64_t t = row / op.heads, h = row % op.heads;
    const std::int64_t first_key = t / op.new_tokens * context, visible = op.cached_tokens + t % op.new_tokens + 1;
    const std::vector<S> query = load_row<S>(DType::bf16, q, row, op.nope + op.rope);
    std::vector<S> scores;
    for (std::int64_t j = 0; j < visible; ++j) {
      S dot(0.0f);
      for (std::int64_t c = 0; c < op.nope; ++c) dot = mul_add(query[c], S(kv.get((first_key + j) * op.heads + h, c)), dot);
      for (std::int64_t c = 0; c < op.rope; ++c) dot = mul_add(query[op.nope + c], S(k_pe.get(first_key + j, c)), dot);
      const S score = dot * S(scale);
      scores.push_back(op.masked && !mask.bit(t, j) ? S(-std::numeric_limits<float>::infinity()) : score);
    }
    const S sum = exponentials<S>(scores);
    for (std::int64_t c = 0; c < op.v; ++c) {
      S value(0.0f);
      for (std::int64_t j = 0; j < visible; ++j) value = mul_add(scores[j], S(kv.get((first_key + j) * op.heads + h, op.nope + c)), value);
      o.set(row, c, value / sum);
    }
  }
}

// (c_kv, k_pe) of one key, dequantised.
template <class S, class Latent, class Rope>
std::vector<S> load_key(model_spec::CacheFormat format, std::int64_t latent_width, std::int64_t rope_width, const Latent& latent, const Rope& rope,
                        std::int64_t row) {
  std::vector<S> key = load_row<S>(latent_type(format), latent, row, latent_width);
  for (std::int64_t c = 0; c < rope_width; ++c) key.push_back(S(rope.get(row, c)));
  return key;
}

// All heads of token t over its keys: Op is DenseMqa or SparseMla. Without keys the result is zero.
template <class S, class Op, class Query, class Out>
void absorbed_query(const Op& op, float scale, const std::vector<std::vector<S>>& keys, const Query& q, std::int64_t t, Out& o) {
  for (std::int64_t row = t * op.heads; row < (t + 1) * op.heads; ++row) {
    const std::vector<S> query = load_row<S>(DType::bf16, q, row, op.latent + op.rope);
    std::vector<S> scores;
    for (const auto& key : keys) {
      S dot(0.0f);
      for (std::int64_t c = 0; c < op.latent + op.rope; ++c) dot = mul_add(query[c], key[c], dot);
      scores.push_back(dot * S(scale));
    }
    const S sum = keys.empty() ? S(1.0f) : exponentials<S>(scores);
    for (std::int64_t c = 0; c < op.latent; ++c) {
      S value(0.0f);
      for (std::size_t j = 0; j < keys.size(); ++j) value = mul_add(scores[j], keys[j][c], value);
      o.set(row, c, value / sum);
    }
  }
}

// q[tokens * heads, latent + rope], latent and rope the cache's records (cache.h), o[tokens * heads, latent].
template <class S, class Query, class Latent, class Rope, class Out>
void dense_mqa(const model_spec::DenseMqa<std::int64_t>& op, float scale, const Query& q, const Latent& latent, const Rope& rope, Out& o) {
  const std::int64_t context = op.cached_tokens + op.new_tokens;
  for (std::int64_t t = 0; t < op.sequences * op.new_tokens; ++t) {
    std::vector<std::vector<S>> keys;
    for (std::int64_t j = 0; j <= op.cached_tokens + t % op.new_tokens; ++j)
      keys.push_back(load_key<S>(op.cache, op.latent, op.rope, latent, rope, t / op.new_tokens * context + j));
    absorbed_query(op, scale, keys, q, t, o);
  }
}

// As dense_mqa over the positions indices[tokens, topk] only; -1 stands for none.
template <class S, class Query, class Latent, class Rope, class Indices, class Out>
void sparse_mla(const model_spec::SparseMla<std::int64_t>& op, float scale, const Query& q, const Latent& latent, const Rope& rope, const Indices& indices,
                Out& o) {
  const std::int64_t context = op.cached_tokens + op.new_tokens;
  for (std::int64_t t = 0; t < op.sequences * op.new_tokens; ++t) {
    std::vector<std::vector<S>> keys;
    for (std::int64_t i = 0; i < op.topk; ++i) {
      const std::int64_t position = indices.integer(t, i);
      if (position >= 0) keys.push_back(load_key<S>(op.cache, op.latent, op.rope, latent, rope, t / op.new_tokens * context + position));
    }
    absorbed_query(op, scale, keys, q, t, o);
  }
}

}  // namespace fathom::kernels::cpu
