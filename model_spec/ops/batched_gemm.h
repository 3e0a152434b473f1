#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

// C[t, h, n] = sum_k A[t, h, k] * W[h, k, n] for each head h: the absorption of kv_b (W_UK into the query, W_UV after attention).
// A, C bf16[tokens, heads, in|out], W weight[heads, in, out], dequantised once if it has scales: the activations are bf16.
template <class N>
struct BatchedGemm {
  N tokens{}, heads{}, in{}, out{};
  DType weight = DType::bf16;

  static constexpr std::string_view name = "batched_gemm";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &BatchedGemm::tokens}, Field{"heads", "heads", &BatchedGemm::heads}, Field{"in", "elements", &BatchedGemm::in},
                      Field{"out", "elements", &BatchedGemm::out}, Field{"weight", "type", &BatchedGemm::weight}};
  }
};

template <class N>
Cost<N> cost(const BatchedGemm<N>& op) {
  Cost<N> c;
  c.matrix(has_scales(op.weight) ? Arithmetic::bf16 : arithmetic_for(op.weight)) = 2 * op.tokens * op.heads * op.in * op.out;
  if (has_scales(op.weight)) c.vector_flops = op.heads * op.in * op.out;
  c.hbm_read_bytes = 2 * op.tokens * op.heads * op.in + op.heads * storage_bytes(op.weight, op.in, op.out);
  c.hbm_write_bytes = 2 * op.tokens * op.heads * op.out;
  return c;
}

}  // namespace fathom::model_spec
