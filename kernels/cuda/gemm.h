#pragma once

#include <memory>

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/batched_gemm.h"
#include "model_spec/ops/gemm.h"

namespace fathom::kernels::cuda {

// cuBLASLt with a workspace of its own for one stream, so that results repeat bit for bit. Algorithms are chosen once for each shape, on the host.
class Gemms {
 public:
  Gemms();  // Throws Error{device}
  ~Gemms();
  Gemms(Gemms&&) noexcept;

  // a[tokens, in], w[out, in], c[tokens, out], which may be a column slice; fp32 sums.
  //   bf16 x bf16 -> bf16 or fp32; in, out and the strides multiples of 8, or else slower paths meant for small tests
  //   fp8_row x fp8_block -> bf16 or fp32; in a multiple of 16. cuBLASLt wants tokens by fours: rows of a and of c up to the next multiple of 4 must
  //     be allocated; those of a are read, and what comes of them is written to those of c. It takes in a multiple of 128, out of 16, scale strides
  //     that are ceil4(tokens) of a and ceil4(in / 128) of w, rows of c that start at 16 bytes. Few tokens and all else: gemm_of_few of grouped_gemm.h.
  void gemm(const model_spec::Gemm<std::int64_t>& op, const Matrix& a, const Matrix& w, const Matrix& c, Stream);
  // a bf16[tokens * heads, in], w bf16 stack of heads [in, out], c bf16[tokens * heads, out]; a and c may be column slices of wider rows. The same
  // multiples of 8, or else a slow path.
  void batched_gemm(const model_spec::BatchedGemm<std::int64_t>& op, const Matrix& a, const Stack& w, const Matrix& c, Stream);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fathom::kernels::cuda
