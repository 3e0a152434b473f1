#pragma once

#include "model_spec/ops/gemm.h"

namespace fathom::model_spec {

// C[r, n] = sum_k A[r, k] * W[e(r), n, k]: rows sorted by expert, one weight matrix an expert.
// A activation[rows, in], W weight[experts, out, in], C output[rows, out]; int32[experts] says how many rows each expert has. How many rows
// come and which experts they hit depends on the data: `capacity` rows are allocated and launched; rows, active and largest (rows of the
// busiest expert) are what was expected or came.
template <class N>
struct GroupedGemm {
  N capacity{}, experts{}, in{}, out{};
  Expected<N> rows{}, active{}, largest{};
  DType weight = DType::fp8_block, activation = DType::fp8_row, output = DType::bf16;

  static constexpr std::string_view name = "grouped_gemm";
  static constexpr auto fields() {
    return std::tuple{Field{"capacity", "rows", &GroupedGemm::capacity},
                      Field{"experts", "experts", &GroupedGemm::experts},
                      Field{"in", "elements", &GroupedGemm::in},
                      Field{"out", "elements", &GroupedGemm::out},
                      Field{"rows", "rows", &GroupedGemm::rows},
                      Field{"active", "experts", &GroupedGemm::active},
                      Field{"largest", "rows", &GroupedGemm::largest},
                      Field{"weight", "type", &GroupedGemm::weight},
                      Field{"activation", "type", &GroupedGemm::activation},
                      Field{"output", "type", &GroupedGemm::output}};
  }
};

template <class N>
Cost<N> cost(const GroupedGemm<N>& op) {
  Cost<N> c;
  c.matrix(arithmetic_for(op.weight)) = 2 * op.rows * op.in * op.out;
  c.vector_flops = promotion_flops(op.weight, op.activation, op.rows, op.in, op.out);
  c.hbm_read_bytes = storage_bytes(op.activation, op.rows, op.in) + op.active * storage_bytes(op.weight, op.out, op.in) + 4 * op.experts;
  c.hbm_write_bytes = storage_bytes(op.output, op.rows, op.out);
  return c;
}

}  // namespace fathom::model_spec
