#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

// Vector work of turning [rows, columns] into `type`: per element the maximum's magnitude and comparison, a division and two bounds;
// per scale its floor and its division by the type's largest number. Nothing if the type has no scales.
template <class N>
N quantise_flops(DType type, const N& rows, const N& columns) {
  if (!has_scales(type)) return N(0);
  const N scales = type == DType::int8 ? rows : rows * ceil_div(columns, N(type == DType::fp4 ? fp4_scale_group : scale_block));
  return 5 * rows * columns + 2 * scales;
}

// q[t, :] = x[t, :] / s[t, group], s = max(amax, 1e-4) / largest (rounded up to a power of two for UE8M0 scales).
// x bf16[tokens, width] -> output[tokens, width] and its scales. model-facts: act_quant of DeepSeek's reference.
template <class N>
struct Quantise {
  N tokens{}, width{};
  DType output = DType::fp8_row;

  static constexpr std::string_view name = "quantise";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &Quantise::tokens}, Field{"width", "elements", &Quantise::width}, Field{"output", "type", &Quantise::output}};
  }
};

template <class N>
Cost<N> cost(const Quantise<N>& op) {
  Cost<N> c;
  c.vector_flops = quantise_flops(op.output, op.tokens, op.width);
  c.hbm_read_bytes = 2 * op.tokens * op.width;
  c.hbm_write_bytes = storage_bytes(op.output, op.tokens, op.width);
  return c;
}

}  // namespace fathom::model_spec
