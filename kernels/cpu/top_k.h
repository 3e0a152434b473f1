#pragma once

#include <numeric>
#include <span>

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/top_k.h"

namespace fathom::kernels::cpu {

// Positions of the k largest values (of all, if there are fewer), largest first; of equal values the first.
template <class S>
std::vector<std::int64_t> largest(std::span<const S> values, std::int64_t k) {
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + std::min(k, static_cast<std::int64_t>(order.size()));
  std::partial_sort(order.begin(), end, order.end(), [&](std::int64_t a, std::int64_t b) {
    const float x = plain(values[a]), y = plain(values[b]);
    return x > y || (x == y && a < b);
  });
  order.erase(end, order.end());
  return order;
}

// scores[tokens, C + T], of which row i of a sequence holds C + i + 1 -> indices[tokens, topk], ascending, then -1.
template <class S, class Scores, class Indices>
void top_k(const model_spec::TopK<std::int64_t>& op, const Scores& scores, Indices& indices) {
  for (std::int64_t t = 0; t < op.sequences * op.new_tokens; ++t) {
    const std::int64_t visible = op.cached_tokens + t % op.new_tokens + 1;
    auto chosen = largest<S>(load_row<S>(DType::fp32, scores, t, visible), op.topk);
    std::sort(chosen.begin(), chosen.end());
    chosen.resize(static_cast<std::size_t>(op.topk), -1);
    for (std::int64_t i = 0; i < op.topk; ++i) indices.set_integer(t, i, chosen[i]);
  }
}

}  // namespace fathom::kernels::cpu
