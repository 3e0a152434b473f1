#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

// y = w * (x - mean) * rsqrt(var + eps) + b in fp32. x, y bf16[tokens, width]; w, b fp32[width]. The indexer's k_norm.
template <class N>
struct LayerNorm {
  N tokens{}, width{};

  static constexpr std::string_view name = "layer_norm";
  static constexpr auto fields() { return std::tuple{Field{"tokens", "tokens", &LayerNorm::tokens}, Field{"width", "elements", &LayerNorm::width}}; }
};

template <class N>
Cost<N> cost(const LayerNorm<N>& op) {
  Cost<N> c;
  // per element: sum; difference, square, sum; difference, two products, bias. per row: two means, eps, square root, reciprocal
  c.vector_flops = 8 * op.tokens * op.width + 5 * op.tokens;
  c.hbm_read_bytes = 2 * op.tokens * op.width + 8 * op.width;
  c.hbm_write_bytes = 2 * op.tokens * op.width;
  return c;
}

}  // namespace fathom::model_spec
