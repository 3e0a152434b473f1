// C[r, n] = sum_k A[r, k] W[e(r), n, k], rows sorted by expert, for many rows an expert. Floor: as in grouped_gemm.cu; with fp8 on an H200 it is the weights'
// way from memory up to about 200 rows an expert, then the tensor cores' rate.
//
// A tile of C is 128 rows of one expert by 256 outputs: of each 128 bytes along k, 48 KB come from the L2 for 128 * 256 * 128 products of e4m3. Two
// warpgroups multiply, each 64 rows by two halves of 128 outputs; of a tile of 64 rows or less each takes all rows by one half. One more warp copies lines of
// 128 bytes along k (64 bf16, or one scale group of e4m3) of rows and weights, and their scales, into a ring of stages: ahead of the products, and of the next
// tile while this one is stored. The scales want that lead as much as the numbers do: read from global memory one line ahead they were what all waited for.
//
// Blocks draw tiles from a counter, in order, so that the tiles that share weights run at the same time and the weights come from memory once. Dealt out
// beforehand, blocks with smaller tiles run ahead, and the weights came up to three times.
//
// e4m3: sum += (products of one scale group) * (scale of the row * scale of the weights), in fp32 registers, for the tensor core keeps too few bits of
// long sums. While one warpgroup does so, the products of the other keep the tensor cores busy.
//
// The boxes of TMA know no experts: a tile's last rows may be those of the next expert, whose results nobody stores. A row's results depend on no other row.
#include <cuda_bf16.h>

#include <algorithm>
#include <cassert>

#include "kernels/cuda/check.h"
#include "kernels/cuda/grouped_tiles.cuh"
#include "kernels/cuda/tensor_core.cuh"
#include "kernels/cuda/tma.cuh"
#include "kernels/cuda/wgmma.cuh"

namespace fathom::kernels::cuda::grouped {
namespace {

constexpr int half = model_spec::scale_block;  // outputs: one scale of the weights
constexpr int box_rows = 64;
constexpr TileSize tile_size{.rows = 2 * box_rows, .out = 2 * half};
constexpr int multipliers = 256, threads = multipliers + 128;
constexpr int line = 128;
constexpr int stages = 4;
constexpr int rows_bytes = tile_size.rows * line, stage_bytes = rows_bytes + tile_size.out * line;
constexpr int scale_bytes = (tile_size.rows + 2) * 4;  // of each row, then of each half of the weights
// In shared memory behind the stages: each stage's two barriers and Place, each stage's scales, first_tile.
constexpr int control_bytes = 32, control_at = stages * stage_bytes, scales_at = control_at + stages * control_bytes;
constexpr int first_tile_at = scales_at + stages * scale_bytes;

// The ring of stages as one thread goes round it.
struct Ring {
  std::uint8_t* memory;
  int stage = 0;
  std::uint32_t parity = 0;

  __device__ std::uint32_t rows() const { return shared_address(memory) + stage * stage_bytes; }
  __device__ std::uint32_t weights() const { return rows() + rows_bytes; }
  __device__ std::uint32_t full() const { return shared_address(memory) + control_at + stage * control_bytes; }
  __device__ std::uint32_t empty() const { return full() + 8; }
  // The tile that the stage is of; one without rows: there are no more.
  __device__ Place& place() const { return *reinterpret_cast<Place*>(memory + control_at + stage * control_bytes + 16); }
  __device__ float* scales() const { return reinterpret_cast<float*>(memory + scales_at + stage * scale_bytes); }
  __device__ void advance() {
    if (++stage < stages) return;
    stage = 0;
    parity ^= 1;
  }
};

struct Tensors {
  CUtensorMap a, w;
};

__device__ int lines_of(const Product& p) { return (p.in_bytes + line - 1) / line; }

// Line k of the scales, which begin at any multiple of 4 bytes, by all lanes.
__device__ void copy_scales(const Product& p, const Place& at, int k, const Ring& ring) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::uint32_t to = shared_address(ring.scales());
  const float* rows = p.a_scales + k * p.a_scale_stride + at.row;
#pragma unroll
  for (int r = 0; r < tile_size.rows; r += 32)
    if (r + lane < at.rows) copy4_async(to + (r + lane) * 4, rows + r + lane);
  const int out = min(at.out / half + lane, (p.out - 1) / half);
  if (lane < 2) copy4_async(to + (tile_size.rows + lane) * 4, p.w_scales + at.expert * p.w_scale_step + out * p.w_scale_stride + k);
  arrive_after_copies(ring.full());
}

template <bool fp8>
__device__ void copy_tile(const Product& p, const Tensors& t, const Place& at, Ring& ring) {
  const int boxes = at.rows > box_rows ? 2 : 1;
  for (int k = 0; k < lines_of(p); ++k, ring.advance()) {
    wait_barrier(ring.empty(), ring.parity ^ 1);
    if (fp8) copy_scales(p, at, k, ring);
    if (threadIdx.x % 32 != 0) continue;
    ring.place() = at;
    arrive_expecting(ring.full(), (boxes * box_rows + tile_size.out) * line);
    copy_box(ring.weights(), t.w, ring.full(), k * line, at.out, at.expert);
    for (int b = 0; b < boxes; ++b) copy_box(ring.rows() + b * box_rows * line, t.a, ring.full(), k * line, at.row + b * box_rows, 0);
  }
}

// The next tile, the same in all lanes.
__device__ int draw(int* drawn) {
  int tile = 0;
  if (threadIdx.x % 32 == 0) tile = atomicAdd(drawn, 1);
  return __shfl_sync(~0u, tile, 0);
}

// A warp's work.
template <bool fp8>
__device__ void copy_tiles(const Product& p, const Tensors& t, const int* first_tile, Ring ring) {
  const int tiles = first_tile[p.experts] * ((p.out + tile_size.out - 1) / tile_size.out);
  for (int tile = draw(p.drawn); tile < tiles; tile = draw(p.drawn)) copy_tile<fp8>(p, t, place_of(p, first_tile, tile, tile_size), ring);
  wait_barrier(ring.empty(), ring.parity ^ 1);
  if (threadIdx.x % 32 == 0) ring.place() = {}, arrive(ring.full());
  if (fp8) arrive_after_copies(ring.full());
}

// What a warpgroup has of a tile: 64 rows from `row` on by 128 outputs from `out` on, or twice as many. Sums are as wgmma.cuh has them.
struct Part {
  int row, out;
};
template <int halves>
using Sums = float[halves][half / 2];

__device__ int row_of_thread() { return static_cast<int>(threadIdx.x) / 32 % 4 * 16 + static_cast<int>(threadIdx.x) % 32 / 4; }

template <int halves>
__device__ void multiply_groups(const Product& p, const Part& part, Ring& ring, Sums<halves>& sums) {
  for (int k = lines_of(p); k > 0; --k, ring.advance()) {
    wait_barrier(ring.full(), ring.parity);
    const float *of_rows = ring.scales() + part.row + row_of_thread(), *of_weights = ring.scales() + tile_size.rows + part.out / half;
    const float rows[2] = {of_rows[0], of_rows[8]}, weights[2] = {of_weights[0], of_weights[halves - 1]};
    const std::uint64_t a = k_major(ring.rows() + part.row * line), b = k_major(ring.weights() + part.out * line);
#pragma unroll
    for (int h = 0; h < halves; ++h) {
      float group[half / 2];
      begin_products();
#pragma unroll
      for (int step = 0; step < 4; ++step) multiply_e4m3<half>(group, a + 2 * step, b + h * (half * line / 16) + 2 * step, step > 0);
      commit_products();
      wait_products<0>();
      fence_sums(group);
      if (h == halves - 1) arrive_as_warp(ring.empty());
      const float upper = rows[0] * weights[h], lower = rows[1] * weights[h];
#pragma unroll
      for (int i = 0; i < half / 2; ++i) sums[h][i] += group[i] * (i % 4 < 2 ? upper : lower);
    }
  }
}

template <int halves>
__device__ void multiply_lines(const Product& p, const Part& part, Ring& ring, Sums<halves>& sums) {
  for (int k = lines_of(p); k > 0; --k, ring.advance()) {
    wait_barrier(ring.full(), ring.parity);
    const std::uint64_t a = k_major(ring.rows() + part.row * line), b = k_major(ring.weights() + part.out * line);
    for (int h = 0; h < halves; ++h) fence_sums(sums[h]);
    begin_products();
#pragma unroll
    for (int step = 0; step < 4; ++step)
#pragma unroll
      for (int h = 0; h < halves; ++h) multiply_bf16<half>(sums[h], a + 2 * step, b + h * (half * line / 16) + 2 * step, true);
    commit_products();
    wait_products<0>();
    for (int h = 0; h < halves; ++h) fence_sums(sums[h]);
    arrive_as_warp(ring.empty());
  }
}

// Word j of lane i of each four lanes and word i of lane j change places.
__device__ void transpose_words(std::uint32_t (&x)[4]) {
#pragma unroll
  for (int d = 1; d < 4; d *= 2)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (j & d) continue;
      const bool high = threadIdx.x & d;
      const std::uint32_t got = __shfl_xor_sync(~0u, high ? x[j] : x[j | d], d);
      (high ? x[j] : x[j | d]) = got;
    }
}

__device__ void store8(const Product& p, I row, int out, const std::uint32_t (&pairs)[4]) {
  auto* c = static_cast<__nv_bfloat16*>(p.c) + row * p.c_stride + out;
  if (p.vectors && out + 8 <= p.out) {
    *reinterpret_cast<uint4*>(c) = {pairs[0], pairs[1], pairs[2], pairs[3]};
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (out + i < p.out) c[i] = __ushort_as_bfloat16(static_cast<unsigned short>(pairs[i / 2] >> 16 * (i % 2)));
  }
}

// Four lanes hold 32 neighbouring outputs of a row, two out of each eight; each of them stores eight.
template <int halves>
__device__ void store_part(const Product& p, const Place& at, const Part& part, const Sums<halves>& sums) {
  const int row = part.row + row_of_thread(), out = at.out + part.out + static_cast<int>(threadIdx.x) % 4 * 8;
#pragma unroll
  for (int h = 0; h < halves; ++h)
#pragma unroll
    for (int block = 0; block < half / 32; ++block)
#pragma unroll
      for (int lower = 0; lower < 2; ++lower) {
        std::uint32_t pairs[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const float* two = sums[h] + (4 * block + j) * 4 + 2 * lower;
          const __nv_bfloat162 rounded = __floats2bfloat162_rn(two[0], two[1]);
          pairs[j] = *reinterpret_cast<const std::uint32_t*>(&rounded);
        }
        transpose_words(pairs);
        if (row + 8 * lower < at.rows) store8(p, at.row + row + 8 * lower, out + h * half + block * 32, pairs);
      }
}

template <bool fp8, int halves>
__device__ void multiply_part(const Product& p, const Place& at, const Part& part, Ring& ring) {
  Sums<halves> sums = {};
  if constexpr (fp8) multiply_groups<halves>(p, part, ring, sums);
  else multiply_lines<halves>(p, part, ring, sums);
  store_part<halves>(p, at, part, sums);
}

template <bool fp8>
__device__ void multiply_tiles(const Product& p, int group, Ring ring) {
  for (;;) {
    wait_barrier(ring.full(), ring.parity);
    const Place at = ring.place();
    if (at.rows == 0) return;
    if (at.rows > box_rows) multiply_part<fp8, 2>(p, at, {.row = group * box_rows, .out = 0}, ring);
    else multiply_part<fp8, 1>(p, at, {.row = 0, .out = group * half}, ring);
  }
}

template <bool fp8>
__global__ __launch_bounds__(threads, 1) void product_of_many(const Product p, const __grid_constant__ Tensors tensors) {
  extern __shared__ __align__(1024) std::uint8_t memory[];
  const Ring ring{.memory = memory};
  if (threadIdx.x == 0) {
    for (Ring r = ring; r.parity == 0; r.advance()) init_barrier(r.full(), fp8 ? 1 + 32 : 1), init_barrier(r.empty(), multipliers / 32);
    publish_barriers();
  }
  auto* first_tile = reinterpret_cast<int*>(memory + first_tile_at);  // [experts + 1]
  count_tiles(p, tile_size.rows, first_tile);
  const int group = static_cast<int>(threadIdx.x) / 128;
  if (group == multipliers / 128) {
    shrink_registers<24>();
    if (threadIdx.x / 32 == multipliers / 32) copy_tiles<fp8>(p, tensors, first_tile, ring);
  } else {
    grow_registers<240>();
    multiply_tiles<fp8>(p, group, ring);
  }
}

}  // namespace

template <bool fp8>
void multiply_many(const Product& p, Stream stream) {
  assert(p.offsets && !p.fp32);
  int device = 0, multiprocessors = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  const Tensors tensors{.a = tensor_of({.data = p.a, .line = p.in_bytes, .rows = p.capacity, .row_step = p.a_row}, box_rows),
                        .w = tensor_of({p.w, p.in_bytes, p.out, p.experts, p.w_row, p.w_step}, tile_size.out)};
  const auto shared = first_tile_at + (p.experts + 1) * 4;
  check(cudaFuncSetAttribute(product_of_many<fp8>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared), "cudaFuncSetAttribute");
  check(cudaMemsetAsync(p.drawn, 0, sizeof(int), stream), "cudaMemsetAsync");
  const auto blocks = static_cast<unsigned>(std::min<I>(most_tiles(p, tile_size), multiprocessors));
  product_of_many<fp8><<<blocks, threads, static_cast<std::size_t>(shared), stream>>>(p, tensors);
  check_launch("grouped_gemm");
}

template void multiply_many<true>(const Product&, Stream);
template void multiply_many<false>(const Product&, Stream);

}  // namespace fathom::kernels::cuda::grouped
