// RoPE of numbers that are in registers (model_spec/ops/rope.h). Products and sums are rounded one by one, as on the CPU.
#pragma once

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {

// (a, b) -> (a cos - b sin, a sin + b cos)
__device__ inline void rotate(float& a, float& b, float cosine, float sine) {
  const float rotated = __fsub_rn(__fmul_rn(a, cosine), __fmul_rn(b, sine));
  b = __fadd_rn(__fmul_rn(a, sine), __fmul_rn(b, cosine));
  a = rotated;
}

// Four pairs of neighbours, the first of which has angle `first`.
__device__ inline void rotate_neighbours(Octet& x, const float* cosines, const float* sines, std::int64_t first) {
#pragma unroll
  for (int i = 0; i < 4; ++i) rotate(x.v[2 * i], x.v[2 * i + 1], cosines[first + i], sines[first + i]);
}

}  // namespace fathom::kernels::cuda
