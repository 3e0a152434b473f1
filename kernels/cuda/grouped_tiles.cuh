// The product of rows sorted by expert as its kernels get it, and the list of its tiles, which blocks derive from the offsets on the device.
#pragma once

#include <cstdint>

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda::grouped {

using I = std::int64_t;

struct Product {
  const std::uint8_t *a, *w;
  const float *a_scales, *w_scales;
  I a_row, w_row, w_step;  // bytes
  I a_scale_stride, w_scale_stride, w_scale_step;
  void* c;
  I c_stride;
  const std::int32_t* offsets;  // null: one expert with `capacity` rows
  int capacity, experts, in_bytes, out;
  bool fp32, vectors;  // type of c; whether 8 columns may be stored at once
  int* drawn;          // multiply_many writes over it: how many tiles blocks have drawn
};

// For many rows an expert (grouped_wgmma.cu); wants p.offsets and p.drawn, and c of bf16.
template <bool fp8>
void multiply_many(const Product& p, Stream stream);

struct TileSize {
  int rows, out;
};
struct Place {
  int expert, row, rows, out;  // first row and rows of the tile, first output
};

// How many tiles there are at most; the host does not know the rows of an expert.
inline I most_tiles(const Product& p, TileSize size) {
  return (ceil_div(p.capacity, size.rows) + (p.experts < p.capacity ? p.experts : p.capacity) - 1) * ceil_div(p.out, size.out);
}

__device__ inline int first_row(const Product& p, int expert) { return p.offsets ? p.offsets[expert] : expert * p.capacity; }

// first_tile[e]: how many tiles of `rows` rows the experts before e have. For all threads of a block.
__device__ inline void count_tiles(const Product& p, int rows, int* first_tile) {
  if (threadIdx.x < 32) {
    const int lane = static_cast<int>(threadIdx.x);
    if (lane == 0) first_tile[0] = 0;
    for (int base = 0, before = 0; base < p.experts; base += 32) {
      const int e = base + lane;
      int sum = e < p.experts ? (first_row(p, e + 1) - first_row(p, e) + rows - 1) / rows : 0;
      for (int d = 1; d < 32; d *= 2) {
        const int left = __shfl_up_sync(~0u, sum, d);
        if (lane >= d) sum += left;
      }
      if (e < p.experts) first_tile[e + 1] = before + sum;
      before += __shfl_sync(~0u, sum, 31);
    }
  }
  __syncthreads();
}

// The tiles of one expert that share weights are neighbours.
__device__ inline Place place_of(const Product& p, const int* first_tile, int tile, TileSize size) {
  const int out_tiles = (p.out + size.out - 1) / size.out;
  int e = 0, end = p.experts;  // first_tile[e] <= tile / out_tiles < first_tile[end]
  while (end - e > 1) {
    const int middle = (e + end) / 2;
    if (first_tile[middle] <= tile / out_tiles) e = middle;
    else end = middle;
  }
  const int count = first_tile[e + 1] - first_tile[e], local = tile - first_tile[e] * out_tiles;
  const int row = first_row(p, e) + local % count * size.rows;
  return {e, row, min(size.rows, first_row(p, e + 1) - row), local / count * size.out};
}

}  // namespace fathom::kernels::cuda::grouped
