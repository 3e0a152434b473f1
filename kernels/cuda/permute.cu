// Rows to their experts and back (model_spec/ops/permute.h).
//   sort_by_expert  a stable counting sort. Floor: 4 bytes read a choice, 8 written. A cluster of blocks counts and places in one launch: each warp
//                   has a run of choices and counts them by expert in shared memory; prefix sums over warps, blocks and experts give it the rows
//                   where its own begin. Integers only, so that the order of the counting changes nothing.
//   permute         floor: each row read and written once
//   unpermute, add  floor: each row read once, each token written once; fp32 sums in row order
#include "kernels/cuda/permute.h"

#include <cooperative_groups.h>

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

namespace groups = cooperative_groups;

// ids int32[tokens, topk], rows `stride` apart.
struct Choices {
  const std::int32_t* ids;
  int count, topk;  // tokens * topk
  std::int64_t stride;
};

// The expert of choice i, counted from the first of ours; -1: not ours.
__device__ int expert_of(const Choices& choices, const ExpertRows& rows, int i) {
  const std::int64_t e = choices.ids[i / choices.topk * choices.stride + i % choices.topk] - rows.first;
  return e >= 0 && e < rows.experts ? static_cast<int>(e) : -1;
}

// Exclusive prefix sums of counts[n] in place, by one warp; returns the sum.
__device__ int prefix_sums(int* counts, int n) {
  int before = 0;
  for (int first = 0; first < n; first += 32) {
    const int i = first + static_cast<int>(lane_id()), own = i < n ? counts[i] : 0;
    int sum = own;
    for (unsigned step = 1; step < 32; step *= 2) {
      const int other = __shfl_up_sync(all_lanes, sum, step);
      if (lane_id() >= step) sum += other;
    }
    if (i < n) counts[i] = before + sum - own;
    before += __shfl_sync(all_lanes, sum, 31);
  }
  return before;
}

// Places the choices first .. last of a warp, whose next row for expert e is next[e].
__device__ void place(const Choices& choices, const ExpertRows& rows, int first, int last, int* next) {
  const auto load = [&](int i) { return i < last ? expert_of(choices, rows, i) : -1; };
  int following = load(first + static_cast<int>(lane_id()));
  for (int start = first; start < last; start += 32) {
    const int i = start + static_cast<int>(lane_id()), expert = following;
    following = load(i + 32);
    const unsigned same = __match_any_sync(all_lanes, expert);
    const int before = __popc(same & ((1u << lane_id()) - 1));
    const int row = expert < 0 ? -1 : next[expert] + before;
    __syncwarp();
    if (expert >= 0 && before == 0) next[expert] += __popc(same);
    __syncwarp();
    if (i >= last) continue;
    rows.row[i] = row;
    if (row >= 0) rows.source[row] = i / choices.topk;
  }
}

__global__ void __launch_bounds__(512) sort_choices(Choices choices, ExpertRows rows) {
  extern __shared__ int shared[];
  const auto cluster = groups::this_cluster();
  const int experts = static_cast<int>(rows.experts), warps = static_cast<int>(blockDim.x / 32), warp = static_cast<int>(threadIdx.x / 32);
  const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
  const int blocks = static_cast<int>(cluster.num_blocks()), block = static_cast<int>(cluster.block_rank());
  int* counts = shared;                   // [warps, experts] the choices of each warp; then those of the warps before it
  int* total = counts + warps * experts;  // [experts] of the block
  int* offset = total + experts;          // [experts] of all blocks; then the first row of each expert
  for (int i = thread; i < warps * experts; i += threads) counts[i] = 0;
  __syncthreads();

  const int runs = blocks * warps, length = (choices.count + 32 * runs - 1) / (32 * runs) * 32;
  const int first = min((block * warps + warp) * length, choices.count), last = min(first + length, choices.count);
  int* own = counts + warp * experts;
  for (int i = first + static_cast<int>(lane_id()); i < last; i += 32)
    if (const int expert = expert_of(choices, rows, i); expert >= 0) atomicAdd(own + expert, 1);
  __syncthreads();

  for (int e = thread; e < experts; e += threads) {
    int sum = 0;
    for (int w = 0; w < warps; ++w) {
      const int count = counts[w * experts + e];
      counts[w * experts + e] = sum;
      sum += count;
    }
    total[e] = sum;
  }
  cluster.sync();
  for (int e = thread; e < experts; e += threads) {
    int before = 0, all = 0;
    for (int b = 0; b < blocks; ++b) {
      const int count = cluster.map_shared_rank(total, b)[e];
      if (b < block) before += count;
      all += count;
    }
    for (int w = 0; w < warps; ++w) counts[w * experts + e] += before;
    offset[e] = all;
  }
  cluster.sync();  // no block leaves, or writes over its totals, while another reads them
  if (warp == 0) {
    const int came = prefix_sums(offset, experts);
    if (block == 0 && thread == 0) rows.offsets[experts] = came;
  }
  __syncthreads();
  for (int e = thread; e < experts; e += threads) {
    for (int w = 0; w < warps; ++w) counts[w * experts + e] += offset[e];
    if (block == 0) rows.offsets[e] = offset[e];
  }
  __syncthreads();
  place(choices, rows, first, last, own);
}

// A unit is 16 bytes. The thread of the first bytes of a scale's numbers takes the scale along.
template <bool wide>
__global__ void __launch_bounds__(walk_threads) permute_rows(Matrix x, ExpertRows rows, Matrix y) {
  const bool scaled = x.type == DType::fp8_row;
  const std::int64_t size = scaled ? 1 : 2, bytes = size * x.columns;
  const std::int64_t came = min(std::int64_t{rows.offsets[rows.experts]}, y.rows);
  each_unit(came, (bytes + 15) / 16, [&](std::int64_t r, std::int64_t unit) {
    const std::int64_t from = rows.source[r], first = 16 * unit;
    copy_16_bytes<wide>(static_cast<std::uint8_t*>(y.data) + r * y.stride * size, static_cast<const std::uint8_t*>(x.data) + from * x.stride * size, first,
                        bytes);
    if (!scaled || first % model_spec::scale_block != 0) return;
    const std::int64_t group = first / model_spec::scale_block;
    y.scales[group * y.scale_stride + r] = x.scales[group * x.scale_stride + from];
  });
}

constexpr int most_topk = 32;  // kernels/cuda/gate.h

// A block has a piece of a token's columns. Its first warp sorts the token's rows.
template <bool wide>
__global__ void __launch_bounds__(walk_threads)
    unpermute_tokens(int topk, Matrix x, const float* weights, std::int64_t stride, const std::int32_t* row, Matrix y, Matrix other) {
  __shared__ std::int32_t sorted[most_topk];
  __shared__ float weight[most_topk];
  __shared__ int came;
  const std::int64_t t = blockIdx.x;
  if (threadIdx.x < 32) {
    const int lane = static_cast<int>(threadIdx.x), r = lane < topk ? row[t * topk + lane] : -1;
    int before = 0;
    for (int i = 0; i < topk; ++i) {
      const int other = __shfl_sync(all_lanes, r, i);
      before += other >= 0 && other < r;
    }
    if (r >= 0) {
      sorted[before] = r;
      weight[before] = weights[t * stride + lane];
    }
    const unsigned valid = __ballot_sync(all_lanes, r >= 0);
    if (lane == 0) came = __popc(valid);
  }
  __syncthreads();
  const std::int64_t first = std::int64_t{8} * (blockIdx.y * blockDim.x + threadIdx.x);
  Octet sum{};
#pragma unroll 4
  for (int i = 0; i < came; ++i) {
    const Octet v = load_octet<wide>(row_of<const std::uint16_t>(x, sorted[i]), first, y.columns);
#pragma unroll
    for (int j = 0; j < 8; ++j) sum.v[j] += weight[i] * v.v[j];
  }
  if (other.data) {
    const Octet o = load_octet<wide>(row_of<const std::uint16_t>(other, t), first, y.columns);
#pragma unroll
    for (int j = 0; j < 8; ++j) sum.v[j] = round_bf16(sum.v[j]) + o.v[j];
  }
  store_octet<wide>(row_of<std::uint16_t>(y, t), first, y.columns, sum);
}

template <bool wide>
__global__ void __launch_bounds__(walk_threads) add_rows(Matrix x, Matrix other, Matrix y) {
  each_unit(y.rows, octets(y.columns), [&](std::int64_t r, std::int64_t unit) {
    Octet a = load_octet<wide>(row_of<const std::uint16_t>(x, r), 8 * unit, y.columns);
    const Octet b = load_octet<wide>(row_of<const std::uint16_t>(other, r), 8 * unit, y.columns);
#pragma unroll
    for (int i = 0; i < 8; ++i) a.v[i] += b.v[i];
    store_octet<wide>(row_of<std::uint16_t>(y, r), 8 * unit, y.columns, a);
  });
}

}  // namespace

void sort_by_expert(std::int64_t tokens, std::int64_t topk, const std::int32_t* ids, std::int64_t stride, const ExpertRows& rows, Stream stream) {
  assert(rows.experts > 0 && rows.experts <= 1024 && rows.capacity == tokens * topk && rows.capacity < std::int64_t{1} << 30 && topk <= stride);
  const Choices choices{ids, static_cast<int>(rows.capacity), static_cast<int>(topk), stride};
  const unsigned warps = rows.experts <= 512 ? 16 : 8;    // their counts in 48 KiB
  const unsigned blocks = rows.capacity <= 2048 ? 1 : 8;  // 8: the largest cluster that any device takes
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {blocks, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(32 * warps);
  config.dynamicSmemBytes = static_cast<std::size_t>((warps + 2) * rows.experts) * sizeof(int);
  config.stream = stream;
  config.attrs = &cluster;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, sort_choices, choices, rows), "sort_by_expert");
}

void permute(const model_spec::Permute<std::int64_t>& op, const Matrix& x, const ExpertRows& rows, const Matrix& y, Stream stream) {
  assert(x.type == op.type && y.type == op.type && (op.type == DType::bf16 || op.type == DType::fp8_row));
  assert(x.columns == op.hidden && y.columns == op.hidden && y.rows >= rows.capacity);
  if (rows.capacity == 0) return;
  const unsigned blocks = walk_blocks(rows.capacity, (op.hidden * (op.type == DType::fp8_row ? 1 : 2) + 15) / 16);
  choose(in_16_bytes(x) && in_16_bytes(y), [&](auto wide) { permute_rows<wide><<<blocks, walk_threads, 0, stream>>>(x, rows, y); });
  check_launch("permute");
}

void unpermute(const model_spec::Unpermute<std::int64_t>& op, std::int64_t topk, const Matrix& x, const float* weights, std::int64_t stride,
               const ExpertRows& rows, const Matrix& y, Stream stream, const Matrix& other) {
  assert(x.type == DType::bf16 && y.type == DType::bf16 && x.columns == op.hidden && y.columns == op.hidden && topk <= most_topk);
  if (y.rows == 0) return;
  const auto pieces = static_cast<unsigned>((octets(op.hidden) + walk_threads - 1) / walk_threads);
  const auto threads = std::min(walk_threads, static_cast<unsigned>((octets(op.hidden) + 31) / 32 * 32));
  const dim3 blocks(static_cast<unsigned>(y.rows), pieces);
  choose(in_octets(x) && in_octets(y) && (!other.data || in_octets(other)),
         [&](auto wide) { unpermute_tokens<wide><<<blocks, threads, 0, stream>>>(static_cast<int>(topk), x, weights, stride, rows.row, y, other); });
  check_launch("unpermute");
}

void add(const model_spec::Add<std::int64_t>& op, const Matrix& x, const Matrix& other, const Matrix& y, Stream stream) {
  assert(x.type == DType::bf16 && other.type == DType::bf16 && y.type == DType::bf16);
  assert(x.rows == op.tokens && other.rows == op.tokens && y.rows == op.tokens && y.columns == op.hidden);
  if (op.tokens == 0) return;
  const unsigned blocks = walk_blocks(op.tokens, octets(op.hidden));
  choose(in_octets(x) && in_octets(other) && in_octets(y), [&](auto wide) { add_rows<wide><<<blocks, walk_threads, 0, stream>>>(x, other, y); });
  check_launch("add");
}

}  // namespace fathom::kernels::cuda
