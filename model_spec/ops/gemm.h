#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

// Vector work of scaled products: after each scale group along k, the partial sum times the scale of each operand that has any (int4
// weights meet bf16 activations) is added to the result.
template <class N>
N promotion_flops(DType weight, DType activation, const N& rows, const N& in, const N& out) {
  if (!has_scales(weight)) return N(0);
  const N groups = weight == DType::int8 ? N(1) : ceil_div(in, N(weight == DType::fp4 ? fp4_scale_group : scale_block));
  return N(has_scales(activation) ? 3 : 2) * rows * out * groups;
}

// C[t, n] = sum_k A[t, k] * W[n, k], scales applied per group of k, fp32 sums.
// A activation[tokens, in], W weight[out, in], C output[tokens, out].
template <class N>
struct Gemm {
  N tokens{}, in{}, out{};
  DType weight = DType::bf16, activation = DType::bf16, output = DType::bf16;

  static constexpr std::string_view name = "gemm";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &Gemm::tokens},       Field{"in", "elements", &Gemm::in},
                      Field{"out", "elements", &Gemm::out},           Field{"weight", "type", &Gemm::weight},
                      Field{"activation", "type", &Gemm::activation}, Field{"output", "type", &Gemm::output}};
  }
};

template <class N>
Cost<N> cost(const Gemm<N>& op) {
  Cost<N> c;
  c.matrix(arithmetic_for(op.weight)) = 2 * op.tokens * op.in * op.out;
  c.vector_flops = promotion_flops(op.weight, op.activation, op.tokens, op.in, op.out);
  c.hbm_read_bytes = storage_bytes(op.activation, op.tokens, op.in) + storage_bytes(op.weight, op.out, op.in);
  c.hbm_write_bytes = storage_bytes(op.output, op.tokens, op.out);
  return c;
}

}  // namespace fathom::model_spec
