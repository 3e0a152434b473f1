#pragma once

#include "model_spec/ops/quantise.h"

namespace fathom::model_spec {

// v = x + r (if residual), r' = bf16(v), y = w * v * rsqrt(mean(v^2) + eps), computed in fp32 from the unrounded sum.
// x, r bf16[tokens, width], w bf16[width]; y is written as `output` and, with keep_bf16, in bf16 besides.
template <class N>
struct RmsNorm {
  N tokens{}, width{};
  bool residual = false;
  DType output = DType::bf16;
  bool keep_bf16 = false;

  static constexpr std::string_view name = "rms_norm";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &RmsNorm::tokens}, Field{"width", "elements", &RmsNorm::width}, Field{"residual", "switch", &RmsNorm::residual},
                      Field{"output", "type", &RmsNorm::output}, Field{"keep_bf16", "switch", &RmsNorm::keep_bf16}};
  }
};

template <class N>
Cost<N> cost(const RmsNorm<N>& op) {
  const N elements = op.tokens * op.width;
  Cost<N> c;
  // per element: square and add, two products; per row: mean, eps, square root, reciprocal
  c.vector_flops = (op.residual ? 5 : 4) * elements + 4 * op.tokens + quantise_flops(op.output, op.tokens, op.width);
  c.hbm_read_bytes = (op.residual ? 4 : 2) * elements + 2 * op.width;
  c.hbm_write_bytes = storage_bytes(op.output, op.tokens, op.width);
  if (op.residual) c.hbm_write_bytes = c.hbm_write_bytes + 2 * elements;
  if (op.keep_bf16) c.hbm_write_bytes = c.hbm_write_bytes + 2 * elements;
  return c;
}

}  // namespace fathom::model_spec
