// C[r, n] = sum_k A[r, k] W[e(r), n, k], rows sorted by expert.
// Floor: max(2 * rows * in * out / tensor rate, bytes / memory bandwidth); each active expert's weights come once, so that few rows an expert are
// bound by out * in bytes of weights.
//
// This kernel is for few rows an expert, and for what cuBLASLt does not take of a single matrix; grouped_wgmma.cu for more rows an expert.
//
// A tile of C is 128 outputs by 16 rows of one expert, or up to 128 of a single matrix. The weights are the 16-high operand of the tensor core and the rows the
// 8-wide one, so that 16 rows are not padded to more. Blocks walk the list of tiles, which they derive from the offsets on the device; the tiles of
// one expert that share weights are neighbours. A stage of the pipeline is 128 bytes along k: 64 bf16, or one scale group of e4m3. sm_90 has no
// e4m3 mma.sync: the codes become f16 in registers, which is exact, so that the partial sums over a scale group are true fp32 sums.
// For a single matrix a cluster of blocks shares a tile, each with a part of k; the sums meet in shared memory, in a fixed order.
#include "kernels/cuda/grouped_gemm.h"

#include <cooperative_groups.h>

#include <algorithm>
#include <cassert>

#include "kernels/cuda/check.h"
#include "kernels/cuda/grouped_tiles.cuh"
#include "kernels/cuda/tensor_core.cuh"

namespace fathom::kernels::cuda {
namespace {

using namespace grouped;

constexpr int tile_out = model_spec::scale_block;  // one scale of the weights for each stage
constexpr int line = 128;                          // bytes of a row in a stage
constexpr int staged_row = tile_out + 4;           // floats; rows of results in shared memory fall on different banks

// threads: 4 warps along the outputs times `columns` along the rows. blocks: on one SM, as shared memory (227 KB) and registers allow.
template <bool fp8_, int rows_, int columns_, int stages_, int blocks_>
struct Tile {
  static constexpr bool fp8 = fp8_;
  static constexpr int rows = rows_, columns = columns_, stages = stages_, blocks = blocks_;
  static constexpr int threads = 128 * columns, warp_rows = rows / columns;
  static constexpr int scales_at = (tile_out + rows) * line;  // in a stage: the scale of each row, then of the weights
  static constexpr int stage_bytes = scales_at + (fp8 ? (rows + 1) * 4 + 127 : 0) / 128 * 128;
  static_assert(stages * stage_bytes >= rows * staged_row * 4 && warp_rows % 16 == 0 && rows < threads);
};

// Chunk c of 16 bytes of row r stands at c ^ (r % 8) of its line, so that neither copies nor ldmatrix meet bank conflicts.
__device__ std::uint32_t swizzled(int row, int chunk) { return static_cast<std::uint32_t>(row * line + ((chunk ^ (row & 7)) << 4)); }

// One line of `count` rows to shared memory; rows from `valid` on and bytes from `in_bytes` on become zero.
template <int count, int threads>
__device__ void load_lines(std::uint32_t to, const std::uint8_t* from, I row_bytes, int valid, int first_byte, int in_bytes) {
  static_assert(count * 8 % threads == 0);
  const int chunk = static_cast<int>(threadIdx.x) % 8, byte = first_byte + chunk * 16;
#pragma unroll
  for (int i = 0; i < count * 8 / threads; ++i) {
    const int r = static_cast<int>(threadIdx.x) / 8 + i * (threads / 8);
    const bool there = r < valid && byte < in_bytes;
    copy16_async(to + swizzled(r, chunk), there ? from + r * row_bytes + byte : from, there ? 16 : 0);
  }
}

template <class T>
__device__ void load_stage(const Product& p, const Place& at, int k, std::uint32_t stage) {
  load_lines<tile_out, T::threads>(stage, p.w + at.expert * p.w_step + at.out * p.w_row, p.w_row, p.out - at.out, k * line, p.in_bytes);
  load_lines<T::rows, T::threads>(stage + tile_out * line, p.a + at.row * p.a_row, p.a_row, at.rows, k * line, p.in_bytes);
  if constexpr (T::fp8) {
    const int i = static_cast<int>(threadIdx.x);
    const std::uint32_t to = stage + T::scales_at + i * 4;
    if (i < T::rows) copy4_async(to, p.a_scales + k * p.a_scale_stride + at.row + (i < at.rows ? i : 0), i < at.rows ? 4 : 0);
    else if (i == T::rows) copy4_async(to, p.w_scales + at.expert * p.w_scale_step + at.out / tile_out * p.w_scale_stride + k, 4);
  }
}

// A warp's part of a tile, 32 outputs by T::warp_rows rows: [16 outputs][8 rows][as multiply_bf16 leaves it].
template <class T>
using Sums = float[2][T::warp_rows / 8][4];

// sums += W A^T over 32 bytes of k, one e4m3 register as two f16 ones: k is taken in another order, the same for both operands.
template <class T>
__device__ void multiply_step(Sums<T>& sums, std::uint32_t weights, std::uint32_t rows, int chunk) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  constexpr int halves = T::fp8 ? 2 : 1;
  const auto operands = [](std::uint32_t(&to)[halves][4], std::uint32_t from) {
    if constexpr (T::fp8) {
      std::uint32_t codes[4];
      load_matrices(codes, from);
      for (int i = 0; i < 4; ++i) to[0][i] = e4m3_to_f16(codes[i]), to[1][i] = e4m3_to_f16(codes[i] >> 16);
    } else {
      load_matrices(to[0], from);
    }
  };
  std::uint32_t w[2][halves][4];
#pragma unroll
  for (int i = 0; i < 2; ++i) operands(w[i], weights + swizzled(16 * i + lane % 16, chunk + lane / 16));
#pragma unroll
  for (int j = 0; j < T::warp_rows / 16; ++j) {
    std::uint32_t a[halves][4];
    operands(a, rows + swizzled(16 * j + lane % 8 + lane / 16 * 8, chunk + lane / 8 % 2));
#pragma unroll
    for (int h = 0; h < halves; ++h)
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int n = 0; n < 2; ++n) {
          if constexpr (T::fp8) multiply_f16(sums[i][2 * j + n], w[i][h], a[h][2 * n], a[h][2 * n + 1]);
          else multiply_bf16(sums[i][2 * j + n], w[i][h], a[h][2 * n], a[h][2 * n + 1]);
        }
  }
}

template <class T>
__device__ void multiply_stage(Sums<T>& sums, std::uint32_t stage, const std::uint8_t* memory) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const std::uint32_t weights = stage + warp % 4 * 32 * line, rows = stage + (tile_out + warp / 4 * T::warp_rows) * line;
  if constexpr (!T::fp8) {
#pragma unroll
    for (int step = 0; step < 4; ++step) multiply_step<T>(sums, weights, rows, 2 * step);
  } else {
    Sums<T> part = {};
#pragma unroll
    for (int step = 0; step < 4; ++step) multiply_step<T>(part, weights, rows, 2 * step);
    const auto* scales = reinterpret_cast<const float*>(memory + T::scales_at);
    const float of_weights = scales[T::rows];
#pragma unroll
    for (int j = 0; j < T::warp_rows / 8; ++j) {
      const auto s = *reinterpret_cast<const float2*>(scales + warp / 4 * T::warp_rows + 8 * j + lane % 4 * 2);
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int x = 0; x < 4; ++x) sums[i][j][x] += part[i][j][x] * ((x % 2 ? s.y : s.x) * of_weights);
    }
  }
}

// Lines first .. last of k through the pipeline.
template <class T>
__device__ void multiply(const Product& p, const Place& at, int first, int last, std::uint8_t* memory, Sums<T>& sums) {
  const std::uint32_t base = shared_address(memory);
  const auto load = [&](int k) {
    if (k < last) load_stage<T>(p, at, k, base + (k - first) % T::stages * T::stage_bytes);
    commit_copies();
  };
  for (int s = 0; s < T::stages - 1; ++s) load(first + s);
  for (int k = first; k < last; ++k) {
    wait_copies<T::stages - 2>();
    __syncthreads();  // line k is there, and all are done with the one before, which makes room
    load(k + T::stages - 1);
    const int at_byte = (k - first) % T::stages * T::stage_bytes;
    multiply_stage<T>(sums, base + at_byte, memory + at_byte);
  }
  wait_copies<0>();
  __syncthreads();
}

// Results to shared memory, [rows, staged_row].
template <class T>
__device__ void stage_results(const Sums<T>& sums, float* staged) {
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < T::warp_rows / 8; ++j)
#pragma unroll
      for (int x = 0; x < 4; ++x) {
        const int row = warp / 4 * T::warp_rows + 8 * j + lane % 4 * 2 + x % 2, out = warp % 4 * 32 + 16 * i + lane / 4 + x / 2 * 8;
        staged[row * staged_row + out] = sums[i][j][x];
      }
}

__device__ void store8(const Product& p, I row, int out, const float (&x)[8]) {
  if (out >= p.out) return;
  const I at = row * p.c_stride + out;
  if (p.fp32) {
    for (int i = 0; i < 8 && out + i < p.out; ++i) static_cast<float*>(p.c)[at + i] = x[i];
    return;
  }
  auto* c = static_cast<__nv_bfloat16*>(p.c) + at;
  if (p.vectors && out + 8 <= p.out) {
    __nv_bfloat162 pairs[4];
    for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(x[2 * i], x[2 * i + 1]);
    *reinterpret_cast<uint4*>(c) = *reinterpret_cast<const uint4*>(pairs);
  } else {
    for (int i = 0; i < 8 && out + i < p.out; ++i) c[i] = __float2bfloat16_rn(x[i]);
  }
}

// The sum of what the blocks of the cluster staged, each block a part of the tile.
template <class T>
__device__ void store_results(const Product& p, const Place& at, float* staged) {
  auto cluster = cooperative_groups::this_cluster();
  const int blocks = static_cast<int>(cluster.num_blocks()), rank = static_cast<int>(cluster.block_rank());
  cluster.sync();
  for (int i = rank * T::threads + static_cast<int>(threadIdx.x); i < at.rows * (tile_out / 8); i += blocks * T::threads) {
    const int row = i / (tile_out / 8), out = i % (tile_out / 8) * 8;
    float sum[8] = {};
    for (int b = 0; b < blocks; ++b) {
      const auto* from = cluster.map_shared_rank(staged, b) + row * staged_row + out;
#pragma unroll
      for (int x = 0; x < 8; ++x) sum[x] += from[x];
    }
    store8(p, at.row + row, at.out + out, sum);
  }
  cluster.sync();  // nobody loads over what others still read
}

template <class T>
__global__ __launch_bounds__(T::threads, T::blocks) void grouped_product(const Product p) {
  extern __shared__ __align__(128) std::uint8_t memory[];
  const auto cluster = cooperative_groups::this_cluster();
  const int blocks = static_cast<int>(cluster.num_blocks()), rank = static_cast<int>(cluster.block_rank());
  auto* first_tile = reinterpret_cast<int*>(memory + T::stages * T::stage_bytes);  // [experts + 1]
  count_tiles(p, T::rows, first_tile);
  const int tiles = first_tile[p.experts] * ((p.out + tile_out - 1) / tile_out);
  const int lines = (p.in_bytes + line - 1) / line;
  for (int tile = static_cast<int>(blockIdx.x) / blocks; tile < tiles; tile += static_cast<int>(gridDim.x) / blocks) {
    const Place at = place_of(p, first_tile, tile, {.rows = T::rows, .out = tile_out});
    Sums<T> sums = {};
    multiply<T>(p, at, lines * rank / blocks, lines * (rank + 1) / blocks, memory, sums);
    stage_results<T>(sums, reinterpret_cast<float*>(memory));
    store_results<T>(p, at, reinterpret_cast<float*>(memory));
  }
}

// A cluster of up to 8 blocks, the most that every device allows, for each tile if tiles alone do not fill the device: a block wants four lines at
// least. Only for a single matrix; experts are many.
template <class T>
int cluster_size(const Product& p, I tiles, I resident) {
  int size = 1;
  while (p.experts == 1 && size < 8 && tiles * size * 2 <= resident && p.in_bytes / line >= size * 8) size *= 2;
  return size;
}

template <class T>
void launch(const Product& p, Stream stream) {
  int device = 0, multiprocessors = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  const I tiles = most_tiles(p, {.rows = T::rows, .out = tile_out});
  const I resident = I{multiprocessors} * T::blocks;
  const int size = cluster_size<T>(p, tiles, resident);
  const auto shared = static_cast<std::size_t>(T::stages * T::stage_bytes + (p.experts + 1) * 4);
  check(cudaFuncSetAttribute(grouped_product<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)), "cudaFuncSetAttribute");
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {static_cast<unsigned>(size), 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(std::min(tiles, resident / size) * size));
  config.blockDim = dim3(T::threads);
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  config.attrs = &cluster;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, grouped_product<T>, p), "grouped_gemm");
}

// From so many rows an expert on grouped_wgmma.cu. It streams weights as fast with fewer, but then its tiles are too few unless most experts have rows.
constexpr double many_rows = 16;

template <bool fp8>
void launch_for(double rows, const Product& p, Stream stream) {
  if (p.offsets && rows >= many_rows) return multiply_many<fp8>(p, stream);
  if (p.offsets || rows <= 16) launch<Tile<fp8, 16, 1, 4, 3>>(p, stream);
  else if (rows <= 32) launch<Tile<fp8, 32, 1, 5, 2>>(p, stream);
  else if (rows <= 64) launch<Tile<fp8, 64, 1, 4, 2>>(p, stream);
  else launch<Tile<fp8, 128, 2, 6, 1>>(p, stream);
}

bool aligned(const void* p, I bytes) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0 && bytes % 16 == 0; }

// rows: how many an expert, more or less.
void launch(double rows, I in, I out, const Matrix& a, const Stack& w, const Matrix& c, const std::int32_t* offsets, I capacity, int* drawn, Stream stream) {
  const bool fp8 = a.type == DType::fp8_row;
  const I bytes = fp8 ? 1 : 2;
  assert(w.first.type == (fp8 ? DType::fp8_block : DType::bf16) && (fp8 || a.type == DType::bf16) && (c.type == DType::bf16 || c.type == DType::fp32));
  assert(in * bytes % 16 == 0 && aligned(a.data, a.stride * bytes) && aligned(w.first.data, w.first.stride * bytes) && w.step * bytes % 16 == 0);
  if (capacity == 0) return;
  const Product p{.a = static_cast<const std::uint8_t*>(a.data),
                  .w = static_cast<const std::uint8_t*>(w.first.data),
                  .a_scales = a.scales,
                  .w_scales = w.first.scales,
                  .a_row = a.stride * bytes,
                  .w_row = w.first.stride * bytes,
                  .w_step = w.step * bytes,
                  .a_scale_stride = a.scale_stride,
                  .w_scale_stride = w.first.scale_stride,
                  .w_scale_step = w.scale_step,
                  .c = c.data,
                  .c_stride = c.stride,
                  .offsets = offsets,
                  .capacity = static_cast<int>(capacity),
                  .experts = static_cast<int>(w.count),
                  .in_bytes = static_cast<int>(in * bytes),
                  .out = static_cast<int>(out),
                  .fp32 = c.type == DType::fp32,
                  .vectors = aligned(c.data, c.stride * 2),
                  .drawn = drawn};
  fp8 ? launch_for<true>(rows, p, stream) : launch_for<false>(rows, p, stream);
}

}  // namespace

void grouped_gemm(const model_spec::GroupedGemm<I>& op, const Matrix& a, const ExpertRows& rows, const Stack& w, const Matrix& c, const Workspace& workspace,
                  Stream stream) {
  assert(workspace.bytes >= grouped_workspace && op.experts == w.count && op.experts == rows.experts && op.activation == a.type && op.weight == w.first.type &&
         c.type == DType::bf16);
  const double mean = op.active > 0 ? op.rows / op.active : static_cast<double>(op.capacity) / static_cast<double>(op.experts);
  launch(mean, op.in, op.out, a, w, c, rows.offsets, op.capacity, static_cast<int*>(workspace.data), stream);
}

void gemm_of_few(const model_spec::Gemm<I>& op, const Matrix& a, const Matrix& w, const Matrix& c, Stream stream) {
  assert(op.activation == a.type && op.weight == w.type && op.output == c.type);
  launch(static_cast<double>(op.tokens), op.in, op.out, a, {.first = w, .count = 1}, c, nullptr, op.tokens, nullptr, stream);
}

}  // namespace fathom::kernels::cuda
