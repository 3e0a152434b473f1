// The topk largest of visible[t] numbers, exactly: the threshold, the topk-th largest, is found digit by digit from histograms of keys, integers in
// the order of the numbers; then everything above it is taken, and of what equals it the first ones, until topk are there.
//
// A row belongs to one block, or to a cluster of up to 8 where rows are few or long; each block takes an equal part and keeps its keys in shared
// memory (beyond 48K of them it reads the row again). Each block of a cluster sums a share of the histograms' bins and hands the sums to all: access
// to another block's memory is slow, unless it is little and wide. Counts are integers, and places in the output follow from counts: two runs give
// the same. Not a number comes last, below -infinity. So does what fills up the last four of a row: it equals the threshold at most, behind enough
// numbers that do, and need not be told apart.
//
// Floor: every visible number read once.
#include "kernels/cuda/top_k.h"

#include <cooperative_groups.h>

#include <algorithm>
#include <cassert>

#include "kernels/cuda/check.h"
#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

namespace groups = cooperative_groups;

constexpr int threads = 512, warps = threads / 32;
constexpr int per_quad = 4;  // numbers of 16 bytes
constexpr int bins = 1 << 11;
constexpr std::int64_t multiprocessors = 132;     // of H200; only the number of blocks depends on it
constexpr int most_blocks = 8;                    // of a cluster that any sm_90 device can run
constexpr std::int64_t least_part = 2048;         // numbers that are worth another block
constexpr std::int64_t usual_part = 16384;        // numbers of a block, 64 KB, of which a multiprocessor holds two
constexpr std::int64_t largest_part = 48 * 1024;  // numbers that fit beside the histograms into 227 KB

// Digits of a key, the highest first.
template <int digit>
constexpr int bits = digit < 2 ? 11 : 10;
template <int digit>
constexpr int shift = digit == 0   ? 21
                      : digit == 1 ? 10
                                   : 0;

struct Rows {
  const float* scores;
  std::int32_t* indices;
  const std::int32_t* visible;
  std::int64_t stride, indices_stride;
  int topk, capacity;  // keys that shared memory holds
};

// Numbers above the threshold, and equal to it.
struct Counts {
  int above, equal;
};
__device__ Counts operator+(Counts a, Counts b) { return {a.above + b.above, a.equal + b.equal}; }

// What the threshold is known to be: the upper digits of its key; `wanted` of the numbers that begin with them are still to be taken. When those are
// all that there are, lower digits do not matter: the key is the one below, and no number that equals it is wanted.
struct Threshold {
  unsigned key;
  int wanted;
};

struct Shared {
  alignas(16) int histogram[bins];  // of this block's part
  alignas(16) int totals[bins];     // of the row, if it has several blocks
  int sums[warps];
  Counts warp_counts[warps], block_counts[most_blocks];
  Threshold threshold;
};

// Larger numbers have larger keys, zeros of either sign the same one; not a number has the smallest.
__device__ unsigned key_of(float x) {
  const unsigned code = __float_as_uint(x + 0.0f);  // -0 + 0 = 0
  const unsigned flipped = static_cast<unsigned>(static_cast<int>(code) >> 31) | 0x80000000u;
  return x == x ? code ^ flipped : 0;
}

// This block's part of a row: numbers first .. first + count. `first` is a multiple of 4.
struct Part {
  const float* scores;  // of the part
  unsigned* kept;       // their keys, if there is room for them
  int first, count;
};

// Keys i .. i + 4, zero beyond the part, which has the first of them.
__device__ uint4 keys_of(const Part& part, int i, float4 v) {
  const int left = part.count - i;
  return {key_of(v.x), left > 1 ? key_of(v.y) : 0, left > 2 ? key_of(v.z) : 0, left > 3 ? key_of(v.w) : 0};
}
__device__ uint4 quad_of(const Part& part, int i) {
  return part.kept ? *reinterpret_cast<const uint4*>(part.kept + i) : keys_of(part, i, __ldg(reinterpret_cast<const float4*>(part.scores + i)));
}

// visit(key) for each of a quad.
template <class Visit>
__device__ void each_of(uint4 quad, Visit visit) {
  visit(quad.x);
  visit(quad.y);
  visit(quad.z);
  visit(quad.w);
}

template <int digit>
__device__ int digit_of(unsigned key) {
  return static_cast<int>(key >> shift<digit> & ((1u << bits<digit>)-1));
}

// The histogram of the first digit; keys are kept on the way. Several reads of a thread are under way at a time, the last four again past the end.
__device__ void count_first(const Part& part, int* histogram) {
  constexpr int reads = 4, step = threads * per_quad;
  const int last = (part.count - 1) / per_quad * per_quad;
  for (int i = threadIdx.x * per_quad; i < part.count; i += reads * step) {
    float4 v[reads];
#pragma unroll
    for (int r = 0; r < reads; ++r) v[r] = __ldg(reinterpret_cast<const float4*>(part.scores + min(i + r * step, last)));
#pragma unroll
    for (int r = 0; r < reads; ++r) {
      if (i + r * step >= part.count) break;
      const uint4 quad = keys_of(part, i + r * step, v[r]);
      if (part.kept) *reinterpret_cast<uint4*>(part.kept + i + r * step) = quad;
      each_of(quad, [&](unsigned key) { atomicAdd(histogram + digit_of<0>(key), 1); });
    }
  }
}
// The histogram of a later digit of the keys that begin like the threshold.
template <int digit>
__device__ void count_next(const Part& part, unsigned known, int* histogram) {
  for (int i = threadIdx.x * per_quad; i < part.count; i += threads * per_quad)
    each_of(quad_of(part, i), [&](unsigned key) {
      if ((key ^ known) >> shift<digit - 1> == 0) atomicAdd(histogram + digit_of<digit>(key), 1);
    });
}

__device__ int inclusive_sum(int v) {
  for (int step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(all_lanes, v, step);
    if (lane_id() >= static_cast<unsigned>(step)) v += other;
  }
  return v;
}

__device__ int4 operator+(int4 a, int4 b) { return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w}; }

// The histogram of the whole row, for every thread of it to see. Each block sums its share of the bins and writes the sums to all.
template <int blocks>
__device__ const int* row_histogram(Shared& shared) {
  if constexpr (blocks == 1) {
    __syncthreads();
    return shared.histogram;
  } else {
    constexpr int share = bins / blocks;
    const auto cluster = groups::this_cluster();
    const int first = static_cast<int>(cluster.block_rank()) * share + static_cast<int>(threadIdx.x) * per_quad;
    cluster.sync();
    if (threadIdx.x < share / per_quad) {
      int4 counts[blocks], sum{};
#pragma unroll
      for (int b = 0; b < blocks; ++b) counts[b] = *reinterpret_cast<const int4*>(cluster.map_shared_rank(shared.histogram + first, b));
#pragma unroll
      for (int b = 0; b < blocks; ++b) sum = sum + counts[b];
#pragma unroll
      for (int b = 0; b < blocks; ++b) *reinterpret_cast<int4*>(cluster.map_shared_rank(shared.totals + first, b)) = sum;
    }
    cluster.sync();
    return shared.totals;
  }
}

// The threshold with one digit more. Thread i looks at the i-th group of bins from the top: the threshold lies where the count of larger numbers
// passes `wanted`. Leaves the block's histogram empty.
template <int digit>
__device__ Threshold next_digit(Shared& shared, const int* histogram, Threshold threshold) {
  constexpr int own = (1 << bits<digit>) / threads;
  const int tid = static_cast<int>(threadIdx.x), top = (1 << bits<digit>)-1 - own * tid;
  int counts[own], sum = 0;
#pragma unroll
  for (int j = 0; j < own; ++j) sum += counts[j] = histogram[top - j];
  const int up_to = inclusive_sum(sum);
  if (lane_id() == 31) shared.sums[tid / 32] = up_to;
  __syncthreads();
  for (int i = tid; i < bins; i += threads) shared.histogram[i] = 0;
  int larger = up_to - sum;  // numbers in bins above those of this thread
  for (int w = 0; w < tid / 32; ++w) larger += shared.sums[w];
#pragma unroll
  for (int j = 0; j < own; ++j) {
    const int wanted = threshold.wanted - larger;
    const unsigned key = threshold.key | static_cast<unsigned>(top - j) << shift<digit>;
    if (0 < wanted && wanted <= counts[j]) shared.threshold = wanted == counts[j] ? Threshold{key - 1, 0} : Threshold{key, wanted};
    larger += counts[j];
  }
  __syncthreads();
  return shared.threshold;
}

template <int blocks>
__device__ Threshold find_threshold(const Part& part, int topk, Shared& shared) {
  count_first(part, shared.histogram);
  Threshold threshold = next_digit<0>(shared, row_histogram<blocks>(shared), {0, topk});
  if (threshold.wanted == 0) return threshold;
  count_next<1>(part, threshold.key, shared.histogram);
  threshold = next_digit<1>(shared, row_histogram<blocks>(shared), threshold);
  if (threshold.wanted == 0) return threshold;
  count_next<2>(part, threshold.key, shared.histogram);
  return next_digit<2>(shared, row_histogram<blocks>(shared), threshold);
}

// The keys that are above the threshold or equal to it.
__device__ Counts count_quad(uint4 quad, unsigned threshold) {
  Counts counts{};
  each_of(quad, [&](unsigned key) {
    counts.above += key > threshold;
    counts.equal += key == threshold;
  });
  return counts;
}

// A warp's share of the part: whole groups of 128 keys, 4 for each lane.
constexpr int group = 32 * per_quad;
struct Span {
  int first, last;
};
__device__ Span span_of(const Part& part, int warp) {
  const int size = (part.count + warps * group - 1) / (warps * group) * group;
  return {min(warp * size, part.count), min((warp + 1) * size, part.count)};
}

// What stands before this warp's share, in the whole row. Called once. No block looks into another's memory afterwards, so that it may leave.
template <int blocks>
__device__ Counts counts_before(const Part& part, unsigned threshold, Shared& shared) {
  const auto cluster = groups::this_cluster();
  const int tid = static_cast<int>(threadIdx.x), warp = tid / 32, rank = static_cast<int>(cluster.block_rank());
  const Span span = span_of(part, warp);
  Counts own{};
  for (int i = span.first + static_cast<int>(lane_id()) * per_quad; i < span.last; i += group) own = own + count_quad(quad_of(part, i), threshold);
  own = {__reduce_add_sync(all_lanes, own.above), __reduce_add_sync(all_lanes, own.equal)};
  if (lane_id() == 0) shared.warp_counts[warp] = own;
  __syncthreads();
  Counts before{};
  if constexpr (blocks > 1) {
    if (tid < blocks) {
      Counts all{};
      for (int w = 0; w < warps; ++w) all = all + shared.warp_counts[w];
      *cluster.map_shared_rank(&shared.block_counts[rank], tid) = all;
    }
    cluster.sync();
    for (int b = 0; b < rank; ++b) before = before + shared.block_counts[b];
  }
  for (int w = 0; w < warp; ++w) before = before + shared.warp_counts[w];
  return before;
}

// Writes a warp's share of the chosen indices: a number's place is the count of those chosen before it.
__device__ void write_chosen(const Part& part, Threshold threshold, Counts before, std::int32_t* indices) {
  const Span span = span_of(part, static_cast<int>(threadIdx.x / 32));
  for (int start = span.first; start < span.last; start += group) {
    const int i = start + static_cast<int>(lane_id()) * per_quad;
    const uint4 quad = i < span.last ? quad_of(part, i) : uint4{};
    const Counts own = i < span.last ? count_quad(quad, threshold.key) : Counts{};
    const int packed = own.above | own.equal << 16;  // up to 128 of each
    if (!__any_sync(all_lanes, packed)) continue;
    const int up_to = inclusive_sum(packed), others = up_to - packed;
    int above = before.above + (others & 0xffff), equal = before.equal + (others >> 16);
    int index = part.first + i;
    if (packed)
      each_of(quad, [&](unsigned key) {
        if (key > threshold.key) indices[above++ + min(equal, threshold.wanted)] = index;
        if (key == threshold.key && equal++ < threshold.wanted) indices[above + equal - 1] = index;
        ++index;
      });
    const int all = __shfl_sync(all_lanes, up_to, 31);
    before = before + Counts{all & 0xffff, all >> 16};
  }
}

template <int blocks>
__global__ void __launch_bounds__(threads, 2) top_k_kernel(const Rows rows) {
  extern __shared__ __align__(16) unsigned kept[];
  __shared__ Shared shared;
  const int rank = static_cast<int>(blockIdx.x) % blocks;
  const std::int64_t row = blockIdx.x / blocks;
  std::int32_t* indices = rows.indices + row * rows.indices_stride;
  const int visible = rows.visible[row];
  if (visible <= rows.topk) {
    for (int i = rank * threads + static_cast<int>(threadIdx.x); i < rows.topk; i += blocks * threads) indices[i] = i < visible ? i : -1;
    return;
  }
  const int size = ((visible + blocks - 1) / blocks + per_quad - 1) / per_quad * per_quad, first = min(rank * size, visible);
  const Part part{rows.scores + row * rows.stride + first, size <= rows.capacity ? kept : nullptr, first, min(size, visible - first)};
  for (int i = threadIdx.x; i < bins; i += threads) shared.histogram[i] = 0;
  __syncthreads();
  const Threshold threshold = find_threshold<blocks>(part, rows.topk, shared);
  write_chosen(part, threshold, counts_before<blocks>(part, threshold.key, shared), indices);
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// A power of two.
std::int64_t blocks_for(std::int64_t tokens, std::int64_t columns) {
  std::int64_t blocks = 1;
  while (blocks < most_blocks && (columns > blocks * usual_part || (2 * tokens * blocks <= multiprocessors && columns >= 2 * blocks * least_part))) blocks *= 2;
  return blocks;
}

template <int blocks>
void launch(const Rows& rows, std::int64_t tokens, Stream stream) {
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {blocks, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(tokens * blocks));
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = static_cast<std::size_t>(rows.capacity) * sizeof(unsigned);
  config.stream = stream;
  config.attrs = &cluster;
  config.numAttrs = 1;
  check(cudaFuncSetAttribute(top_k_kernel<blocks>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(config.dynamicSmemBytes)), "top_k");
  check(cudaLaunchKernelEx(&config, top_k_kernel<blocks>, rows), "top_k");
}

}  // namespace

void top_k(const model_spec::TopK<std::int64_t>& op, std::int64_t tokens, const Matrix& scores, const std::int32_t* visible, const Matrix& indices,
           Stream stream) {
  assert(scores.type == DType::fp32 && scores.stride % per_quad == 0 && scores.rows >= tokens);
  assert(indices.type == DType::int32 && indices.columns >= op.topk && indices.rows >= tokens && op.topk > 0);
  if (tokens == 0) return;
  const std::int64_t blocks = blocks_for(tokens, scores.columns);
  const std::int64_t capacity = std::min(largest_part, ceil_div(ceil_div(scores.columns, blocks), per_quad) * per_quad);
  const Rows rows{static_cast<const float*>(scores.data),
                  static_cast<std::int32_t*>(indices.data),
                  visible,
                  scores.stride,
                  indices.stride,
                  static_cast<int>(op.topk),
                  static_cast<int>(capacity)};
  switch (blocks) {
    case 1: return launch<1>(rows, tokens, stream);
    case 2: return launch<2>(rows, tokens, stream);
    case 4: return launch<4>(rows, tokens, stream);
    default: return launch<most_blocks>(rows, tokens, stream);
  }
}

}  // namespace fathom::kernels::cuda
