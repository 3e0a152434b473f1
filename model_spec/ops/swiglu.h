#pragma once

#include "model_spec/ops/quantise.h"

namespace fathom::model_spec {

// y = silu(a) * b, silu(a) = a / (1 + exp(-a)). x bf16[rows, 2 * width] holds a then b; y output[rows, width].
template <class N>
struct SwiGlu {
  Expected<N> rows{};
  N width{};
  DType output = DType::bf16;

  static constexpr std::string_view name = "swiglu";
  static constexpr auto fields() {
    return std::tuple{Field{"rows", "rows", &SwiGlu::rows}, Field{"width", "elements", &SwiGlu::width}, Field{"output", "type", &SwiGlu::output}};
  }
};

template <class N>
Cost<N> cost(const SwiGlu<N>& op) {
  Cost<N> c;
  c.vector_flops = 5 * op.rows * op.width + quantise_flops(op.output, N(op.rows), op.width);
  c.hbm_read_bytes = 4 * op.rows * op.width;
  c.hbm_write_bytes = storage_bytes(op.output, N(op.rows), op.width);
  return c;
}

}  // namespace fathom::model_spec
