// logits[t, s] = factor * sk[s] * sum_h w[t, h] * sq[t, h] * relu(q[t, h, :] . k[s, :]),   s < visible[t],   for 64 heads of 128 dims in e4m3.
//
// One product of a warpgroup is a page of 64 keys (M) with all heads of one or two queries (N = 64 or 128), over all dims (K = 128). A key's products with
// the heads of a query lie in 4 neighbouring lanes: a ReLU and a multiply-add for each, two or three exchanges, and its logit is there. In prefill that
// takes half the time of the product, so three or four warpgroups of a multiprocessor take turns: while some add up, another one multiplies.
//
// A block's queries stay in shared memory; another warp has pages of keys copied past them (TMA) into a ring. Warpgroups of different queries share a page;
// where a block has fewer queries than its warpgroups take, they share queries and take different pages. The keys of a sequence are divided among blocks,
// so that few long sequences fill the device.
//   decode    1 or 2 queries of a sequence, 2 or 3 blocks on a multiprocessor: one starts or ends while the others copy
//   prefill   8 queries of a sequence, so that a key crosses the L2 once for 8 * 64 heads
//
// wgmma keeps about 14 bits of a sum of e4m3 products: logits agree with kernels/cpu/index_logits.h to about 2e-4 of the largest, and all of them to 6e-9 in
// 1 - 2 <x, y> / (<x, x> + <y, y>).
//
// Floor: 132 bytes a key at the memory's rate (decode), 2 * 64 * 128 FLOP a pair at the tensor cores' rate for fp8 (prefill). On an H200, 2026-11:
//   decode    64 queries, each with 64K keys: 83 % of it (4.0 TB/s)
//   prefill   4096 queries after 28K or 60K keys: 57 % of it (1120 TFLOPS). Tensor cores are busy for two thirds of the cycles, at a clock that the power
//             limit lowers. Weights must stay in registers: read from shared memory for every page, they and the operands fill its bandwidth.
#include "kernels/cuda/index_logits_wgmma.h"

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/tensor_core.cuh"
#include "kernels/cuda/tma.cuh"
#include "kernels/cuda/wgmma.cuh"

namespace fathom::kernels::cuda {
namespace {

constexpr int heads = 64, dims = 128, page_keys = model_spec::page_tokens;
constexpr int keys_bytes = page_keys * dims, scales_bytes = page_keys * 4, page_bytes = keys_bytes + scales_bytes, query_bytes = heads * dims;

struct Scores {
  CUtensorMap queries, keys;
  Matrix q, w, logits;
  const std::byte* cache;
  Context context;
  std::int64_t tokens;
  int tile, splits;  // queries of a block; blocks that share the keys of a tile
  float factor;
};

// Queries of a warpgroup, warpgroups of a block, blocks on a multiprocessor, pages of the ring. The last warp of a block copies. `registers` is what the
// warpgroups take, a thread, from a whole warpgroup of which that warp is the first; 0: no need to.
template <int queries_, int groups_, int blocks_, int depth_, int registers_ = 0>
struct Shape {
  static constexpr int queries = queries_, groups = groups_, blocks = blocks_, depth = depth_, registers = registers_;
  static constexpr int threads = groups * 128 + (registers > 0 ? 128 : 32);
  // A warpgroup that takes every second or fourth page comes to a place in the ring always or never (score_run): a parity tells a turn from the next
  // one only.
  static_assert(depth % groups == 0);
};
using OneQuery = Shape<1, 2, 2, 8>;
using TwoQueries = Shape<2, 1, 3, 6>;
using Prefill = Shape<2, 4, 1, 16, 112>;  // 64 sums and 32 weights a thread do not fit into the 96 registers that a 17th warp would leave

// Shared memory. Queries and keys start at multiples of 1024 bytes for their swizzle.
template <class S>
struct Tiles {
  std::byte keys[S::depth][keys_bytes], queries[S::queries * S::groups][query_bytes];
  float scales[S::depth][page_keys];
  std::uint64_t filled[S::depth], emptied[S::depth], queries_filled, queries_emptied;  // barriers
};

// Queries first .. last of one sequence, and the pages that this block takes.
struct Run {
  std::int64_t first, last;
  const std::int32_t* numbers;  // [max_pages]
  int first_page, last_page;
};

// v, which all lanes of the warp have: so the compiler knows that they do, and keeps it and what follows from it once for the warp.
__device__ int uniform(int v) { return __shfl_sync(all_lanes, v, 0); }

// The queries of one sequence from `first` on, up to `last` (at most 32), and this block's share of the keys that they see. Called by whole warps.
__device__ Run run_from(const Scores& s, std::int64_t first, std::int64_t last) {
  const std::int64_t own = first + lane_id();
  const std::int32_t sequence = s.context.sequence[first];
  const unsigned same = __ballot_sync(all_lanes, own < last && s.context.sequence[own] == sequence);
  const int count = same == all_lanes ? 32 : __ffs(static_cast<int>(~same)) - 1;
  const int visible = __reduce_max_sync(all_lanes, static_cast<int>(lane_id()) < count ? s.context.visible[own] : 0);
  const std::int64_t pages = (visible + page_keys - 1) / page_keys, split = blockIdx.x % s.splits;
  return {first, first + count, s.context.pages + sequence * s.context.max_pages, uniform(static_cast<int>(pages * split / s.splits)),
          uniform(static_cast<int>(pages * (split + 1) / s.splits))};
}

// The place of a page in the ring of shared memory, and the parity of its turn there.
template <class S>
struct Place {
  unsigned slot, parity;
  __device__ explicit Place(int n) : slot(static_cast<unsigned>(n) % S::depth), parity(static_cast<unsigned>(n) / S::depth % 2) {}
};

template <class S>
__device__ void copy_page(const Scores& s, Tiles<S>& tiles, unsigned slot, int number) {
  const std::uint32_t filled = shared_address(&tiles.filled[slot]);
  arrive_expecting(filled, page_bytes);
  copy_box(shared_address(tiles.keys[slot]), s.keys, filled, 0, 0, number);
  copy_bytes(shared_address(tiles.scales[slot]), s.cache + std::int64_t{number} * page_bytes + keys_bytes, scales_bytes, filled);
}

template <class S>
__device__ void copy_queries(const Scores& s, const Run& run, Tiles<S>& tiles, int turn) {
  const int lane = static_cast<int>(lane_id()), count = static_cast<int>(run.last - run.first);
  const std::uint32_t filled = shared_address(&tiles.queries_filled);
  wait_barrier(shared_address(&tiles.queries_emptied), (turn + 1) % 2);
  if (lane == 0) arrive_expecting(filled, count * query_bytes);
  __syncwarp();
  if (lane < count) copy_box(shared_address(tiles.queries[lane]), s.queries, filled, 0, static_cast<int>((run.first + lane) * heads), 0);
}

// The copying warp's part of a run: the block's `turn`-th, whose first page is the block's n-th.
template <class S>
__device__ void copy_run(const Scores& s, const Run& run, Tiles<S>& tiles, int turn, int n) {
  const int lane = static_cast<int>(lane_id());
  copy_queries<S>(s, run, tiles, turn);
  int numbers = 0;  // of 32 pages, one a lane
  for (int page = run.first_page; page < run.last_page; ++page, ++n) {
    const int i = (page - run.first_page) % 32;
    if (i == 0) numbers = page + lane < run.last_page ? run.numbers[page + lane] : 0;
    const int number = __shfl_sync(all_lanes, numbers, i);
    const Place<S> place(n);
    wait_barrier(shared_address(&tiles.emptied[place.slot]), place.parity ^ 1);
    if (lane == 0) copy_page<S>(s, tiles, place.slot, number);
    __syncwarp();
  }
}

// What a warpgroup's products are worth: factor * w * sq. Lane t of four holds heads 8 n + 2 t and the next in places 2 n and 2 n + 1 of each query;
// queries that do not exist have none. The odd ones are halved, see relu().
template <class S>
struct Weights {
  float of[S::queries][heads / 4];
};
template <class S>
__device__ Weights<S> load_weights(const Scores& s, std::int64_t first, std::int64_t last) {
  Weights<S> weights{};
#pragma unroll
  for (int i = 0; i < S::queries; ++i) {
    const std::int64_t token = first + i;
    if (token >= last) break;
    const auto* w = reinterpret_cast<const float2*>(row_of<float>(s.w, token)) + lane_id() % 4;
    const auto* scales = reinterpret_cast<const float2*>(s.q.scales + token * heads) + lane_id() % 4;
#pragma unroll
    for (int n = 0; n < heads / 8; ++n) {
      weights.of[i][2 * n] = s.factor * (w[4 * n].x * scales[4 * n].x);
      weights.of[i][2 * n + 1] = 0.5f * s.factor * (w[4 * n].y * scales[4 * n].y);
    }
  }
  return weights;
}

// sums = the products of a page of keys with the heads of S::queries queries.
template <class S>
__device__ void multiply(float (&sums)[S::queries * heads / 2], std::uint64_t keys, std::uint64_t queries) {
  fence_sums(sums);
  begin_products();
#pragma unroll
  for (int k = 0; k < dims / 32; ++k) multiply_e4m3<S::queries * heads>(sums, keys + 2 * k, queries + 2 * k, k > 0);
  commit_products();
  wait_products<0>();
  fence_sums(sums);
}

// relu(x), or twice that on the pipe of additions: the other one, which compares, is half as wide.
template <bool twice>
__device__ float relu(float x) {
  return twice ? x + fabsf(x) : fmaxf(x, 0.0f);
}

// sum_h weight[h] * relu(sum[key, h]). Of the keys g and g + 8 and the queries of a warpgroup, lane t of four gets key g + 8 * (t % 2), query t / 2.
template <class S>
__device__ float weighted_sum(const float (&sums)[S::queries * heads / 2], const Weights<S>& weights) {
  const bool odd = lane_id() % 2, second = lane_id() % 4 >= 2;
  float of[S::queries];
#pragma unroll
  for (int i = 0; i < S::queries; ++i) {
    float low = 0, high = 0;
#pragma unroll
    for (int n = 0; n < heads / 4; n += 2) {
      const float* four = sums + i * heads / 2 + 2 * n;
      low += weights.of[i][n] * relu<false>(four[0]);
      low += weights.of[i][n + 1] * relu<true>(four[1]);
      high += weights.of[i][n] * relu<false>(four[2]);
      high += weights.of[i][n + 1] * relu<true>(four[3]);
    }
    of[i] = (odd ? high : low) + __shfl_xor_sync(all_lanes, odd ? low : high, 1);
  }
  if constexpr (S::queries == 1) return of[0] + __shfl_xor_sync(all_lanes, of[0], 2);
  else return (second ? of[1] : of[0]) + __shfl_xor_sync(all_lanes, second ? of[0] : of[1], 2);
}

// What a warpgroup, and a lane of it, looks at in every page of a run.
template <class S>
struct Part {
  std::uint64_t keys, queries;  // descriptors, of the first page of the ring and of the own queries
  Weights<S> weights;
  int row, visible;     // the lane's key in a page; how many keys its query sees from there on
  std::int64_t logits;  // where the first of these stands
};

template <class S>
__device__ Part<S> part_of(const Scores& s, const Run& run, const Tiles<S>& tiles, int first_query) {
  const int lane = static_cast<int>(lane_id()), row = static_cast<int>(threadIdx.x) % 128 / 32 * 16 + lane / 4 + lane % 2 * 8;
  const std::int64_t first = run.first + first_query, own = first + lane % 4 / 2;
  const int visible = own < min(run.last, first + S::queries) ? s.context.visible[own] : 0;
  return {k_major(shared_address(tiles.keys)), k_major(shared_address(tiles.queries[first_query])), load_weights<S>(s, first, run.last), row, visible - row,
          own * s.logits.stride + row};
}

template <class S>
__device__ void score_page(const Scores& s, Tiles<S>& tiles, unsigned slot, int page, const Part<S>& part) {
  const float scale = tiles.scales[slot][part.row];
  float sums[S::queries * heads / 2];
  multiply<S>(sums, part.keys + slot * (keys_bytes / 16), part.queries);
  arrive_as_warp(shared_address(&tiles.emptied[slot]));
  const float logit = scale * weighted_sum<S>(sums, part.weights);
  if (page * page_keys < part.visible) static_cast<float*>(s.logits.data)[part.logits + page * page_keys] = logit;
}

// Warpgroups of a block that have queries of their own.
template <class S>
__host__ __device__ int owners_of(int tile) {
  return tile <= S::queries ? 1 : tile / S::queries;
}

// A warpgroup's part of a run; without queries it only lets the pages pass.
template <class S>
__device__ void score_run(const Scores& s, const Run& run, Tiles<S>& tiles, int turn, int n) {
  const int group = uniform(static_cast<int>(threadIdx.x) / 128), owners = owners_of<S>(s.tile), first_query = group % owners * S::queries;
  const int pages = uniform(S::groups / owners);  // at a time
  const bool idle = uniform(run.first + first_query >= run.last);
  const Part<S> part = part_of<S>(s, run, tiles, first_query);
  wait_barrier(shared_address(&tiles.queries_filled), turn % 2);
  const int skipped = ((group / owners - n) % pages + pages) % pages;  // so that a place in the ring is always the same warpgroup's
  for (int page = run.first_page + skipped; page < run.last_page; page += pages) {
    const Place<S> place(n + page - run.first_page);
    wait_barrier(shared_address(&tiles.filled[place.slot]), place.parity);
    if (!idle) score_page<S>(s, tiles, place.slot, page, part);
    else arrive_as_warp(shared_address(&tiles.emptied[place.slot]));
  }
  arrive_as_warp(shared_address(&tiles.queries_emptied));
}

// Pages are emptied by the warps that read them, queries by all.
template <class S>
__device__ void init_barriers(const Scores& s, Tiles<S>& tiles) {
  if (threadIdx.x == 0) {
    for (int i = 0; i < S::depth; ++i) {
      init_barrier(shared_address(&tiles.filled[i]), 1);
      init_barrier(shared_address(&tiles.emptied[i]), 4 * owners_of<S>(s.tile));
    }
    init_barrier(shared_address(&tiles.queries_filled), 1);
    init_barrier(shared_address(&tiles.queries_emptied), 4 * S::groups);
    publish_barriers();
  }
  __syncthreads();
}

// visit(run, turn, n) for the runs of this block's tile; n pages came before.
template <class Visit>
__device__ void each_run(const Scores& s, Visit visit) {
  const std::int64_t block = (gridDim.x - 1 - blockIdx.x) / s.splits;  // later queries see more keys: the longest work starts first
  const std::int64_t last = min((block + 1) * s.tile, s.tokens);
  int n = 0, turn = 0;
  for (std::int64_t t = block * s.tile; t < last; ++turn) {
    const Run run = run_from(s, t, last);
    visit(run, turn, n);
    n += run.last_page - run.first_page;
    t = run.last;
  }
}

template <class S>
__global__ void __launch_bounds__(S::threads, S::blocks) index_logits_wgmma_kernel(const __grid_constant__ Scores s) {
  extern __shared__ __align__(1024) std::byte shared[];
  auto& tiles = *reinterpret_cast<Tiles<S>*>(shared);
  init_barriers<S>(s, tiles);
  const int warp = uniform(static_cast<int>(threadIdx.x) / 32);
  if (warp < 4 * S::groups) {
    if constexpr (S::registers > 0) grow_registers<S::registers>();
    each_run(s, [&](const Run& run, int turn, int n) { score_run<S>(s, run, tiles, turn, n); });
  } else {
    if constexpr (S::registers > 0) shrink_registers<24>();
    if (warp == 4 * S::groups) each_run(s, [&](const Run& run, int turn, int n) { copy_run<S>(s, run, tiles, turn, n); });
  }
}

constexpr std::int64_t pages_per_wave = 128;  // times queries: work of a block that makes another wave of them worth its start

template <class S>
void launch(Scores s, int tile, Stream stream) {
  static_assert(sizeof(Tiles<S>) <= 228 * 1024 / S::blocks - 1024);
  assert(tile <= S::queries * S::groups);
  const std::int64_t blocks = ceil_div(s.tokens, tile);
  s.tile = tile;
  s.splits = splits_for(blocks, tile, ceil_div(s.context.max_visible, page_keys), multiprocessors * S::blocks, pages_per_wave);
  const auto kernel = index_logits_wgmma_kernel<S>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Tiles<S>)), "index_logits");
  kernel<<<static_cast<unsigned>(blocks * s.splits), S::threads, sizeof(Tiles<S>), stream>>>(s);
  check_launch("index_logits");
}

}  // namespace

void index_logits_wgmma(const model_spec::IndexLogits<std::int64_t>& op, std::int64_t tokens, float factor, const Matrix& q, const Matrix& w,
                        const IndexCache& cache, const Context& context, const Matrix& logits, Stream stream) {
  constexpr std::int64_t any_pages = std::int64_t{1} << 31;
  const Scores s{.queries = tensor_of({.data = q.data, .line = dims, .rows = tokens * heads, .row_step = q.stride}, heads),
                 .keys = tensor_of({.data = cache.data, .line = dims, .rows = page_keys, .count = any_pages, .row_step = dims, .step = page_bytes}, page_keys),
                 .q = q,
                 .w = w,
                 .logits = logits,
                 .cache = static_cast<const std::byte*>(cache.data),
                 .context = context,
                 .tokens = tokens,
                 .tile = 1,
                 .splits = 1,
                 .factor = factor};
  if (op.new_tokens == 1) launch<OneQuery>(s, 1, stream);
  else if (op.new_tokens == 2) launch<TwoQueries>(s, 2, stream);
  else launch<Prefill>(s, op.new_tokens >= 8 ? 8 : 4, stream);
}

}  // namespace fathom::kernels::cuda
