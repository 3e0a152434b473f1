// What the attention kernels share: tiles of bf16 in shared memory, how fragments of products are read from them, the numbers of a softmax.
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/tensor_core.cuh"

namespace fathom::kernels::cuda {

inline constexpr int block_keys = 64;            // keys of a step
inline constexpr float nothing = -1e30f;         // a maximum over no keys: finite, so that differences are
inline constexpr float log2_e = 1.44269504089f;  // exp(x) = 2^(x log2 e)

// Rows of a tile are a multiple of 128 bytes; the 16-byte chunk c of row r stands at c ^ (r % 8), so that eight rows of one chunk lie in different
// banks. `start` is the address of the row.
__device__ inline std::uint32_t swizzled(std::uint32_t start, int row, int chunk) { return start + static_cast<std::uint32_t>((chunk ^ (row & 7)) << 4); }

// The row of a tile, and the half of 16 columns, that a lane names for load_matrices.
struct FragmentRow {
  int row, swizzle;
  // of the tile's row that `start` is the address of; even_chunk: of the 16 columns
  [[nodiscard]] __device__ std::uint32_t chunk(std::uint32_t start, int even_chunk) const {
    return start + static_cast<std::uint32_t>((even_chunk ^ swizzle) << 4);
  }
};
// 16 rows x 16 columns as `a` of a product; transposed, columns 0 .. 8 as b[0], b[1] of one and 8 .. 16 as b[2], b[3] of another.
__device__ inline FragmentRow fragment_row() {
  const int lane = static_cast<int>(lane_id()), row = lane % 16;
  return {row, (lane / 16) ^ (row & 7)};
}
// 16 rows x 16 columns, rows 0 .. 8 as b[0], b[1] of one product and 8 .. 16 as b[2], b[3] of another.
__device__ inline FragmentRow paired_fragment_row() {
  const int lane = static_cast<int>(lane_id()), row = lane / 16 * 8 + lane % 8;
  return {row, (lane / 8 % 2) ^ (row & 7)};
}
// 8 rows x 32 columns, columns 0 .. 16 as b[0], b[1] and 16 .. 32 as b[2], b[3]; chunks are multiples of four.
__device__ inline FragmentRow single_fragment_row() {
  const int lane = static_cast<int>(lane_id()), row = lane % 8;
  return {row, (lane / 8) ^ row};
}

// Over the four lanes that hold a row of a product.
__device__ inline float quad_max(float v) { return lanes_max(v, 4); }
__device__ inline float quad_sum(float v) {
  v += __shfl_xor_sync(all_lanes, v, 2);
  return v + __shfl_xor_sync(all_lanes, v, 1);
}

// Errs by 2^-22 of itself.
__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace fathom::kernels::cuda
