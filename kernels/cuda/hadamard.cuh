// The Hadamard transform of a row whose octets neighbouring lanes hold (model_spec/ops/hadamard.h): rounds of sums and differences, in the CPU's order.
#pragma once

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {

// A round of pairs `half` < 8 apart.
template <int half>
__device__ void round_within(Octet& x) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    if (i & half) continue;
    const float a = x.v[i], b = x.v[i + half];
    x.v[i] = a + b;
    x.v[i + half] = a - b;
  }
}

// A round of pairs 8 * step apart: the same element of two lanes.
__device__ inline void round_across(Octet& x, unsigned step, unsigned lanes) {
  const bool second = lane_id() & step;
#pragma unroll
  for (float& v : x.v) {
    const float other = __shfl_xor_sync(lane_mask(lanes), v, step);
    v = second ? other - v : v + other;
  }
}

// x = factor * H x, for a row of 2^stages numbers in `lanes` octets.
__device__ inline void transform_row(Octet& x, std::int64_t stages, unsigned lanes, float factor) {
  if (stages > 0) round_within<1>(x);
  if (stages > 1) round_within<2>(x);
  if (stages > 2) round_within<4>(x);
  for (unsigned step = 1; step < lanes; step *= 2) round_across(x, step, lanes);
#pragma unroll
  for (float& v : x.v) v *= factor;
}

}  // namespace fathom::kernels::cuda
