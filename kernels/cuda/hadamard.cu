// y = H x / sqrt(width), H the Sylvester matrix: rounds of sums and differences (model_spec/ops/hadamard.h), in the CPU's order.
// Floor: 2 bytes read and 1 written an element. A row of 128 has 16 lanes of an octet each: three rounds within the lane, four across lanes.
#include "kernels/cuda/hadamard.h"

#include <cmath>

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

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
__device__ void round_across(Octet& x, unsigned step, unsigned lanes) {
  const bool second = lane_id() & step;
#pragma unroll
  for (float& v : x.v) {
    const float other = __shfl_xor_sync(lane_mask(lanes), v, step);
    v = second ? other - v : v + other;
  }
}

template <bool wide>
__global__ void __launch_bounds__(walk_threads) hadamard_rows(std::int64_t stages, float factor, Matrix x, Matrix y) {
  const auto lanes = static_cast<unsigned>(octets(x.columns));  // of a row: a power of two
  each_unit(x.rows, lanes, [&](std::int64_t r, std::int64_t unit) {
    Octet v = load_octet<wide>(row_of<const std::uint16_t>(x, r), 8 * unit, x.columns);
    if (stages > 0) round_within<1>(v);
    if (stages > 1) round_within<2>(v);
    if (stages > 2) round_within<4>(v);
    for (unsigned step = 1; step < lanes; step *= 2) round_across(v, step, lanes);
#pragma unroll
    for (float& e : v.v) e *= factor;
    store_quantised<wide>(y, r, 8 * unit, v, min(lanes, scale_lanes));
  });
}

}  // namespace

void hadamard(const model_spec::Hadamard<std::int64_t>& op, const Matrix& x, const Matrix& y, Stream stream) {
  assert(op.width == std::int64_t{1} << op.stages && op.width <= 256);
  assert(x.type == DType::bf16 && y.type == op.output && (y.type == DType::bf16 || y.type == DType::fp8_row));
  assert(x.rows == op.tokens * op.heads && y.rows == x.rows && x.columns == op.width && y.columns == op.width);
  if (x.rows == 0) return;
  const unsigned blocks = walk_blocks(x.rows, octets(op.width));
  const float factor = 1 / std::sqrt(static_cast<float>(op.width));
  choose(in_octets(x) && in_octets(y), [&](auto wide) { hadamard_rows<wide><<<blocks, walk_threads, 0, stream>>>(op.stages, factor, x, y); });
  check_launch("hadamard");
}

}  // namespace fathom::kernels::cuda
