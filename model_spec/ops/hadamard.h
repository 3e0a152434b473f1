#pragma once

#include "model_spec/ops/quantise.h"

namespace fathom::model_spec {

// y = H x / sqrt(width) per head, H the Sylvester matrix of size width = 2^stages: `stages` rounds of sums and differences.
// x bf16[tokens, heads, width] -> output of the same shape.
template <class N>
struct Hadamard {
  N tokens{}, heads{}, width{}, stages{};
  DType output = DType::bf16;

  static constexpr std::string_view name = "hadamard";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &Hadamard::tokens}, Field{"heads", "heads", &Hadamard::heads}, Field{"width", "elements", &Hadamard::width},
                      Field{"stages", "rounds", &Hadamard::stages}, Field{"output", "type", &Hadamard::output}};
  }
};

template <class N>
Cost<N> cost(const Hadamard<N>& op) {
  const N rows = op.tokens * op.heads;
  Cost<N> c;
  c.vector_flops = rows * op.width * (op.stages + 1) + quantise_flops(op.output, rows, op.width);
  c.hbm_read_bytes = 2 * rows * op.width;
  c.hbm_write_bytes = storage_bytes(op.output, rows, op.width);
  return c;
}

}  // namespace fathom::model_spec
