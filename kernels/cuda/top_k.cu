// The topk largest of visible[t] numbers, exactly, in one walk over the row. Numbers that reach a bound become candidates, in the order of the row. The
// bound comes from a sample of the row: a number that somewhat more than topk numbers should reach. Whatever the numbers are, the result is exact:
//
// - Where candidates fill the room that there is, the topk best of them stay, and the bound rises above the worst of those. A later number that equals
//   it would lose anyway, so that rows of many equal numbers pass quickly too.
// - Where fewer than topk numbers reach the bound the walk is repeated without one.
//
// The topk best of the candidates are found by keys, integers in the order of the numbers. A histogram of 2048 bins over the range of keys tells the bin
// of the topk-th largest, which is the next, narrower range. Of several keys equal to that one the smallest indices are taken, found in the same way.
// Places follow from counts in a fixed order: two runs give the same. Not a number comes last, below -infinity.
//
// A row belongs to one block, or to a cluster of up to 8 where rows are few: each block walks over an equal part, then the first one takes all candidates.
// Rows that the registers of a block hold are not walked over: all their numbers are candidates.
//
// Floor: every visible number read once, every index written once.
#include "kernels/cuda/top_k.h"

#include <cooperative_groups.h>

#include <algorithm>
#include <cassert>

#include "kernels/cuda/check.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/tensor_core.cuh"

namespace fathom::kernels::cuda {
namespace {

namespace groups = cooperative_groups;

constexpr int threads = 512, warps = threads / 32;
constexpr int per_quad = 4;  // numbers of 16 bytes
constexpr int quads = 4;     // of a thread in one round of the walk; counts of a warp's numbers in each of them fit into the bytes of a word
constexpr int round_numbers = threads * quads * per_quad;
constexpr int samples = 2048;
constexpr int bin_bits = 11, bins = 1 << bin_bits;
constexpr std::int64_t most_blocks = 8;              // of a cluster that any sm_90 device can run
constexpr std::int64_t least_part = 4096;            // numbers that are worth another block
constexpr std::int64_t most_candidates = 26 * 1024;  // that shared memory, 227 KB, holds beside the histogram

struct Rows {
  const float* scores;
  std::int32_t* indices;
  const std::int32_t* visible;
  std::int64_t stride, indices_stride;
  int topk, capacity;
};

// The `wanted`-th largest of some keys is among low .. low + 2^width - 1, of which it is the `wanted`-th largest. None wanted: all from `low` on are.
struct Range {
  unsigned low;
  int width, wanted;
};

// The bins that one thread looks at.
struct alignas(16) Group {
  int of[bins / threads];
};

struct Shared {
  alignas(Group) int histogram[bins];  // zeros, but while a range is narrowed
  int sums[2][warps];
  int kept[2], block_counts[most_blocks];
  Range range;
};

// ---- keys

constexpr unsigned lowest_key = 0x007fffffu, highest_key = 0xff800000u;  // of the infinities

// Larger numbers have larger keys, zeros of either sign the same one; not a number has the smallest.
__device__ unsigned key_of(float x) {
  const unsigned code = __float_as_uint(x + 0.0f);  // -0 + 0 = 0
  const unsigned flipped = static_cast<unsigned>(static_cast<int>(code) >> 31) | 0x80000000u;
  return x == x ? code ^ flipped : 0;
}
// The number of a key; beyond the infinities not a number.
__device__ float number_of(unsigned key) { return __uint_as_float(key & 0x80000000u ? key ^ 0x80000000u : ~key); }

__device__ int width_of(unsigned largest) { return 32 - __clz(static_cast<int>(largest)); }

// ---- sums

__device__ int inclusive_sum(int v) {
  for (int step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(all_lanes, v, step);
    if (lane_id() >= static_cast<unsigned>(step)) v += other;
  }
  return v;
}

// What earlier warps have, and all. One barrier; the next call takes the other array of sums.
struct Sums {
  int before, all;
};
__device__ Sums sums_of_warps(int own, int (&sums)[warps]) {
  const int warp = static_cast<int>(threadIdx.x / 32), lane = static_cast<int>(lane_id());
  if (lane == 0) sums[warp] = own;
  __syncthreads();
  const int sum = lane < warps ? sums[lane] : 0;
  return {__reduce_add_sync(all_lanes, lane < warp ? sum : 0), __reduce_add_sync(all_lanes, sum)};
}

// ---- the topk-th largest key

// The next range, if this thread's group of bins has the key looked for: where the count of larger keys passes `wanted`.
__device__ void find_bin(const Range& range, int shift, int wanted, const Group& counts, Range& next) {
#pragma unroll
  for (int j = 0; j < bins / threads; ++j) {
    const unsigned bin = bins - 1 - (threadIdx.x * (bins / threads) + j);
    if (0 < wanted && wanted <= counts.of[j]) next = {range.low + (bin << shift), shift, wanted == counts.of[j] ? 0 : wanted};
    wanted -= counts.of[j];
  }
}

// One step. each(visit) visits this thread's keys; they are counted in bins, the largest ones in the first.
template <class Each>
__device__ Range narrow(const Range& range, Shared& shared, Each each) {
  const int shift = max(range.width - bin_bits, 0);
  const unsigned used = 1u << (range.width - shift);
  each([&](unsigned key) {
    const unsigned bin = (key - range.low) >> shift;
    if (bin < used) atomicAdd(shared.histogram + (bins - 1 - bin), 1);
  });
  __syncthreads();
  auto* group = reinterpret_cast<Group*>(shared.histogram) + threadIdx.x;
  const Group counts = *group;
  *group = {};
  int sum = 0;
  for (const int count : counts.of) sum += count;
  const int up_to = inclusive_sum(sum);
  const int wanted = range.wanted - (up_to - sum) - sums_of_warps(__shfl_sync(all_lanes, up_to, 31), shared.sums[0]).before;
  if (0 < wanted && wanted <= sum) find_bin(range, shift, wanted, counts, shared.range);
  __syncthreads();
  return shared.range;
}

template <class Each>
__device__ Range search(Range range, Shared& shared, Each each) {
  while (range.wanted > 0 && range.width > 0) range = narrow(range, shared, each);
  return range;
}

// Keys above `key` are taken, and of those that equal it what stands no further than `last`.
struct Threshold {
  unsigned key;
  int last;
  __device__ bool takes(unsigned other, int index) const { return other > key || (other == key && index <= last); }
};

// each(visit) visits this thread's keys and their indices, up to `last`: more than topk in all, no key less than `low`.
template <class Each>
__device__ Threshold find_threshold(unsigned low, int topk, int last, Shared& shared, Each each) {
  const Range keys = search({low, max(width_of(highest_key - low), 1), topk}, shared, [&](auto visit) { each([&](unsigned key, int) { visit(key); }); });
  if (keys.wanted == 0) return {keys.low - 1, -1};
  const Range places = search({~static_cast<unsigned>(last), width_of(last), keys.wanted}, shared, [&](auto visit) {
    each([&](unsigned key, int index) {
      if (key == keys.low) visit(~static_cast<unsigned>(index));
    });
  });
  return {keys.low, static_cast<int>(~places.low)};
}

// ---- rounds: numbers of all threads, four quads each or fewer

// Numbers of a row from `first` on, a multiple of 4.
struct Part {
  const float* scores;  // of the part
  int first, count;
};

// Where this thread's r-th quad of a round stands: a warp takes consecutive ones.
template <int some>
__device__ int quad_index(int start, int r) {
  return start + (static_cast<int>(threadIdx.x / 32 * some + r) * 32 + static_cast<int>(lane_id())) * per_quad;
}

// A thread's numbers of a round.
constexpr int own_numbers = quads * per_quad;
struct Numbers {
  float v[own_numbers];
};
__device__ Numbers load_round(const Part& part, int start) {
  const int last = (part.count - 1) / per_quad * per_quad;
  Numbers own;
#pragma unroll
  for (int r = 0; r < quads; ++r) {
    const float4 v = __ldg(reinterpret_cast<const float4*>(part.scores + min(quad_index<quads>(start, r), last)));
    own.v[per_quad * r] = v.x, own.v[per_quad * r + 1] = v.y, own.v[per_quad * r + 2] = v.z, own.v[per_quad * r + 3] = v.w;
  }
  return own;
}

// Bit 4 * r + j of a mask stands for number j of quad r: those that have a key from `from` on, or all.
__device__ unsigned candidates_of(const Numbers& own, unsigned from) {
  const float least = number_of(max(from, lowest_key));
  const bool all = from == 0;
  unsigned mask = 0;
#pragma unroll
  for (int i = 0; i < own_numbers; ++i)
    if (own.v[i] >= least || all) mask |= 1u << i;
  return mask;
}
// Those that are in the part.
__device__ unsigned within(const Part& part, int start) {
  unsigned mask = 0;
#pragma unroll
  for (int r = 0; r < quads; ++r) mask |= (0xfu >> (per_quad - max(0, min(per_quad, part.count - quad_index<quads>(start, r))))) << (per_quad * r);
  return mask;
}

// Where the chosen numbers of this thread's quads go, and how many the block has.
template <int some>
struct Places {
  int of[some], all;
};
template <int some>
__device__ Places<some> places_of(unsigned mask, int (&sums)[warps]) {
  unsigned own = 0;
#pragma unroll
  for (int r = 0; r < some; ++r) own |= static_cast<unsigned>(__popc(mask >> (per_quad * r) & 0xf)) << (8 * r);
  const auto up_to = static_cast<unsigned>(inclusive_sum(static_cast<int>(own))), all = __shfl_sync(all_lanes, up_to, 31);
  Places<some> places;
  int before = 0;
#pragma unroll
  for (int r = 0; r < some; ++r) {
    places.of[r] = before + static_cast<int>((up_to - own) >> (8 * r) & 0xff);
    before += static_cast<int>(all >> (8 * r) & 0xff);
  }
  const Sums warp = sums_of_warps(before, sums);
#pragma unroll
  for (int r = 0; r < some; ++r) places.of[r] += warp.before;
  places.all = warp.all;
  return places;
}

// ---- candidates

struct alignas(8) Candidate {
  float value;
  int index;
};
struct alignas(16) Four {
  Candidate of[per_quad];
};
// In shared memory.
struct Candidates {
  Candidate* list;
  int capacity;  // at least topk and the numbers of a round
};

// Those of which the mask has a bit go to list[to ...]. With predicates: the compiler takes a branch for each.
__device__ void store_chosen(const Four& four, unsigned mask, const Candidates& candidates, int to) {
  std::uint32_t address = shared_address(candidates.list) + static_cast<unsigned>(to) * static_cast<unsigned>(sizeof(Candidate));
#pragma unroll
  for (int j = 0; j < per_quad; ++j) {
    const unsigned chosen = mask & 1u << j;
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %0, 0; @p st.shared.v2.b32 [%1], {%2, %3}; }" ::"r"(chosen), "r"(address),
                 "r"(__float_as_int(four.of[j].value)), "r"(four.of[j].index)
                 : "memory");
    if (chosen) address += sizeof(Candidate);
  }
}

struct Walk {
  Part part;
  unsigned from;  // the least key of further candidates; 0: everything, also what is not a number
  int next;       // number to be looked at
  int kept;       // candidates
};

// Takes candidates until the part ends (true), or a round has more than there is room for. The numbers of the next round are under way meanwhile.
__device__ bool collect(Walk& walk, const Candidates& candidates, Shared& shared) {
  const Part part = walk.part;
  int start = walk.next, kept = walk.kept, turn = 0;
  Numbers coming = load_round(part, start);
  for (; start < part.count; start += round_numbers, turn ^= 1) {
    const Numbers own = coming;
    if (start + round_numbers < part.count) coming = load_round(part, start + round_numbers);
    unsigned mask = candidates_of(own, walk.from);
    if (start + round_numbers > part.count) mask &= within(part, start);
    const Places<quads> places = places_of<quads>(mask, shared.sums[turn]);
    if (kept + places.all > candidates.capacity) break;
#pragma unroll
    for (int r = 0; r < quads; ++r) {
      const int i = part.first + quad_index<quads>(start, r);
      const float* v = own.v + per_quad * r;
      store_chosen({{{v[0], i}, {v[1], i + 1}, {v[2], i + 2}, {v[3], i + 3}}}, mask >> (per_quad * r), candidates, kept + places.of[r]);
    }
    kept += places.all;
  }
  __syncthreads();
  walk.next = start;
  walk.kept = kept;
  return start >= part.count;
}

// Leaves the topk best candidates, in order. What a round of them moves has been read before, and lands in front of what follows.
__device__ void select(Walk& walk, const Candidates& candidates, int topk, int last, Shared& shared) {
  if (walk.kept <= topk) return;
  const unsigned low = walk.from > 0 ? walk.from - 1 : 0;  // of candidates that were there before the bound rose
  const Threshold threshold = find_threshold(low, topk, last, shared, [&](auto visit) {
    for (int i = threadIdx.x; i < walk.kept; i += threads) visit(key_of(candidates.list[i].value), candidates.list[i].index);
  });
  int kept = 0, turn = 0;
  for (int start = 0; start < walk.kept; start += threads * per_quad, turn ^= 1) {
    const int i = quad_index<1>(start, 0);
    const Four four = i < walk.kept ? *reinterpret_cast<const Four*>(candidates.list + i) : Four{};
    unsigned mask = 0;
#pragma unroll
    for (int j = 0; j < per_quad; ++j)
      if (i + j < walk.kept && threshold.takes(key_of(four.of[j].value), four.of[j].index)) mask |= 1u << j;
    const Places<1> places = places_of<1>(mask, shared.sums[turn]);
    store_chosen(four, mask, candidates, kept + places.of[0]);
    kept += places.all;
  }
  __syncthreads();
  walk.kept = kept;
  walk.from = threshold.key + 1;
}

// ---- rows

// A key that more than topk numbers of the row should reach: the `wanted`-th largest of a sample, to 21 bits. Of the topk largest numbers
// topk * samples / count are expected in it, with a deviation of the square root of that, or twice as much where the four of a quad are alike.
__device__ unsigned guess_bound(const Part& row, int topk, Shared& shared) {
  static_assert(samples == threads * per_quad);
  const float expected = static_cast<float>(topk) * samples / static_cast<float>(row.count);
  const int wanted = static_cast<int>(expected + 5 * sqrtf(expected)) + 2;
  if (wanted >= samples) return 0;
  const std::int64_t quad = std::int64_t{threadIdx.x} * (row.count / per_quad) / threads;
  const float4 v = __ldg(reinterpret_cast<const float4*>(row.scores) + quad);
  const auto each = [&](auto visit) { visit(key_of(v.x)), visit(key_of(v.y)), visit(key_of(v.z)), visit(key_of(v.w)); };
  const Range range = narrow({0, 32, wanted}, shared, each);
  return range.wanted == 0 ? range.low : narrow(range, shared, each).low;
}

// The candidates of all blocks of a cluster, counted.
template <int blocks>
__device__ int count_all(int kept, int turn, Shared& shared) {
  if constexpr (blocks == 1) return kept;
  const auto cluster = groups::this_cluster();
  const int tid = static_cast<int>(threadIdx.x);
  if (tid == 0) shared.kept[turn] = kept;
  cluster.sync();
  if (tid < blocks) shared.block_counts[tid] = *cluster.map_shared_rank(shared.kept + turn, tid);
  __syncthreads();
  int all = 0;
  for (int b = 0; b < blocks; ++b) all += shared.block_counts[b];
  return all;
}
// The first block gets all of them. It has room.
template <int blocks>
__device__ void gather(int kept, const Candidates& candidates, const Shared& shared) {
  const auto cluster = groups::this_cluster();
  const int rank = static_cast<int>(cluster.block_rank());
  int before = 0;
  for (int b = 0; b < rank; ++b) before += shared.block_counts[b];
  Candidate* to = cluster.map_shared_rank(candidates.list, 0) + before;
  if (rank > 0)
    for (int i = threadIdx.x; i < kept; i += threads) to[i] = candidates.list[i];
  cluster.sync();
}

// This block's part of a row; the first number exists even if there are none.
template <int blocks>
__device__ Part part_of(const Part& row, int rank) {
  const int size = ((row.count + blocks - 1) / blocks + per_quad - 1) / per_quad * per_quad, first = min(rank * size, (row.count - 1) / per_quad * per_quad);
  return {row.scores + first, first, max(min(size, row.count - rank * size), 0)};
}

// list[0 ... topk) of the first block become the largest numbers of the row.
template <int blocks>
__device__ void choose(const Part& row, int rank, int topk, const Candidates& candidates, Shared& shared) {
  const Part part = part_of<blocks>(row, rank);
  unsigned bound = guess_bound(row, topk, shared);
  Walk walk{part, bound, 0, 0};
  int turn = 0;
  for (bool ended = false; !ended;) {
    if (collect(walk, candidates, shared)) {
      const int all = count_all<blocks>(walk.kept, turn ^= 1, shared);
      if (all < topk) {
        bound = 0;
        walk = {part, bound, 0, 0};
        continue;
      }
      ended = all <= candidates.capacity;
      if (blocks > 1 && ended) {
        gather<blocks>(walk.kept, candidates, shared);
        if (rank > 0) return;
        walk.kept = all;
        walk.from = bound;  // other blocks' may have risen less
      }
    }
    select(walk, candidates, topk, row.count - 1, shared);
  }
}

// The same where one round has the whole row. What fills up its end equals not a number, behind all that is.
__device__ void choose_of_short(const Part& row, int topk, const Candidates& candidates, Shared& shared) {
  const Numbers own = load_round(row, 0);
  unsigned keys[own_numbers], mask = 0;
  const auto index = [](int i) { return quad_index<quads>(0, i / per_quad) + i % per_quad; };
#pragma unroll
  for (int i = 0; i < own_numbers; ++i) keys[i] = index(i) < row.count ? key_of(own.v[i]) : 0;
  const Threshold threshold = find_threshold(0, topk, round_numbers - 1, shared, [&](auto visit) {
#pragma unroll
    for (int i = 0; i < own_numbers; ++i)
      if (index(i / per_quad * per_quad) < row.count) visit(keys[i], index(i));
  });
#pragma unroll
  for (int i = 0; i < own_numbers; ++i)
    if (threshold.takes(keys[i], index(i))) mask |= 1u << i;
  const Places<quads> places = places_of<quads>(mask, shared.sums[0]);
#pragma unroll
  for (int r = 0; r < quads; ++r) {
    const int i = index(per_quad * r);
    store_chosen({{{0, i}, {0, i + 1}, {0, i + 2}, {0, i + 3}}}, mask >> (per_quad * r), candidates, places.of[r]);
  }
  __syncthreads();
}

template <int blocks>
__global__ void __launch_bounds__(threads, blocks == 1 ? 2 : 1) top_k_kernel(const Rows rows) {
  extern __shared__ __align__(16) Candidate list[];
  __shared__ Shared shared;
  const int rank = static_cast<int>(blockIdx.x) % blocks, tid = static_cast<int>(threadIdx.x);
  const std::int64_t row = (gridDim.x - 1 - blockIdx.x) / blocks;  // later queries see more: they come first
  std::int32_t* indices = rows.indices + row * rows.indices_stride;
  const int visible = rows.visible[row];
  if (visible <= rows.topk) {
    for (int i = rank * threads + tid; i < rows.topk; i += blocks * threads) indices[i] = i < visible ? i : -1;
    return;
  }
  if (visible <= round_numbers && rank > 0) return;
  for (int i = tid; i < bins; i += threads) shared.histogram[i] = 0;
  __syncthreads();
  const Part whole{rows.scores + row * rows.stride, 0, visible};
  if (visible <= round_numbers) choose_of_short(whole, rows.topk, {list, rows.capacity}, shared);
  else choose<blocks>(whole, rank, rows.topk, {list, rows.capacity}, shared);
  if (rank == 0)
    for (int i = tid; i < rows.topk; i += threads) indices[i] = list[i].index;
}

// A power of two. Blocks of a cluster have a multiprocessor each; the first one has room for the topk best candidates of all.
std::int64_t blocks_for(std::int64_t tokens, std::int64_t columns, std::int64_t topk) {
  std::int64_t blocks = 1;
  while (blocks < most_blocks && 2 * tokens * blocks <= multiprocessors && columns >= 2 * blocks * least_part && 2 * blocks * topk <= most_candidates)
    blocks *= 2;
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
  config.dynamicSmemBytes = static_cast<std::size_t>(rows.capacity) * sizeof(Candidate);
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
  static_assert(most_topk + round_numbers <= most_candidates);
  assert(op.topk <= most_topk);
  if (tokens == 0) return;
  const std::int64_t blocks = blocks_for(tokens, scores.columns, op.topk), capacity = std::max(op.topk + round_numbers, blocks * op.topk);
  const Rows rows{static_cast<const float*>(scores.data),
                  static_cast<std::int32_t*>(indices.data),
                  visible,
                  scores.stride,
                  indices.stride,
                  static_cast<int>(op.topk),
                  static_cast<int>((capacity + per_quad - 1) / per_quad * per_quad)};
  switch (blocks) {
    case 1: return launch<1>(rows, tokens, stream);
    case 2: return launch<2>(rows, tokens, stream);
    case 4: return launch<4>(rows, tokens, stream);
    default: return launch<most_blocks>(rows, tokens, stream);
  }
}

}  // namespace fathom::kernels::cuda
