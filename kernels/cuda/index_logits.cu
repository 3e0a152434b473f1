// logits[t, s] = factor * sk[s] * sum_h w[t, h] * sq[t, h] * relu(q[t, h, :] . k[s, :]),   s < visible[t].
//
// A warp keeps the heads of one query in registers, up to 64 at a time (N of the mma), and keys (M) stream past in shared memory: so a key's sum over
// heads stays within a warp, and all queries of a block share the keys that it loads. A block of 8 warps takes
//   prefill   8 queries of a sequence, all of them over the same keys
//   decode    the 1, 2 or 4 queries of a sequence; 8, 4 or 2 warps share a query and take different keys
// and a share of the keys that its queries see, so that few long sequences fill the device too.
//
// e4m3 numbers are multiplied as fp16, which holds them exactly. So does mma.m16n8k32.e4m3 on sm_90, by two conversions of every operand at every use
// (seen in its code); here a query is converted once. Products are exact and summed in fp32, unlike those of the fp8 wgmma, which keeps fewer bits:
// logits agree with kernels/cpu/index_logits.h to 1e-5 of the largest. V3.2's size has a faster kernel in index_logits_wgmma.cu; this one takes the others,
// and keys in bf16.
//
// Floor: keys read once at the memory's rate (decode), 2 * heads * dims FLOP a pair (prefill) at the tensor cores' rate for fp16, half of that for fp8.
#include "kernels/cuda/index_logits.h"

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "kernels/cuda/check.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/index_logits_wgmma.h"
#include "kernels/cuda/tensor_core.cuh"

namespace fathom::kernels::cuda {
namespace {

constexpr int warps = 8, threads = warps * 32;
constexpr int pages_per_stage = 2, stage_keys = pages_per_stage * model_spec::page_tokens;  // a tile of 16 keys for each warp of one query
constexpr int mma_keys = 16, mma_heads = 8;                                                 // M and N of the mma
constexpr std::int64_t stages_per_wave = 16;                                                // work of a block that makes another wave of them worth its start

struct Scores {
  Matrix q, w, logits;
  IndexCache cache;
  Context context;
  std::int64_t tokens;
  int heads, tile, splits;  // queries of a block; blocks that share the keys of a tile
  float factor;
};

// Queries first .. last of one sequence, the most keys that one of them sees, and the stages of keys that this block takes.
struct Run {
  std::int64_t first, last;
  const std::int32_t* pages;  // [max_pages]
  int visible, first_stage, last_stage;
};

// Rows of a query or key in shared memory, 16-byte chunks exchanged so that 8 rows at the same chunk lie in different banks.
template <DType type, int dims>
struct Rows {
  static constexpr bool fp8 = type == DType::fp8_row;
  static constexpr int element = fp8 ? 1 : 2, bytes = element * dims, chunks = bytes / 16, steps = dims / 16;  // steps: K of the mma
  static constexpr int page_keys_bytes = model_spec::page_tokens * bytes, page_scales_bytes = fp8 ? model_spec::page_tokens * 4 : 0;
  static constexpr int page_bytes = page_keys_bytes + page_scales_bytes;
  static constexpr int stage_bytes = pages_per_stage * page_bytes;  // keys of the pages, then their scales
  static constexpr int depth = bytes > 128 ? 3 : 6;                 // stages under way; what fits beside 8 queries of 64 heads into 227 KB
  static __device__ int offset(int row, int chunk) {
    constexpr int rows_per_line = chunks >= 8 ? 1 : 8 / chunks, exchanged = chunks >= 8 ? 8 : chunks;
    return row * bytes + 16 * (chunk ^ (row / rows_per_line % exchanged));
  }
};

template <class R>
__device__ void load_stage(const Scores& s, const Run& run, int stage, std::uint32_t to) {
#pragma unroll
  for (int half = 0; half < pages_per_stage; ++half) {
    const int page = stage * pages_per_stage + half;
    if (page * model_spec::page_tokens >= run.visible) return;
    const auto* from = static_cast<const std::byte*>(s.cache.data) + std::int64_t{run.pages[page]} * R::page_bytes;
#pragma unroll
    for (int i = threadIdx.x; i < R::page_keys_bytes / 16; i += threads)
      copy16_async(to + R::offset(half * model_spec::page_tokens + i / R::chunks, i % R::chunks), from + 16 * i);
    if constexpr (R::fp8)
      if (threadIdx.x < R::page_scales_bytes / 16)
        copy16_async(to + pages_per_stage * R::page_keys_bytes + half * R::page_scales_bytes + 16 * threadIdx.x, from + R::page_keys_bytes + 16 * threadIdx.x);
  }
}

// Heads head .. head + `heads` of the run's queries -> rows of shared memory; heads that do not exist are zero.
template <class R, int heads>
__device__ void load_queries(const Scores& s, const Run& run, int head, std::byte* to) {
  const auto* q = static_cast<const std::byte*>(s.q.data);
  const std::int64_t stride = s.q.stride * R::element;
  for (int i = threadIdx.x; i < static_cast<int>(run.last - run.first) * heads * R::chunks; i += threads) {
    const int row = i / R::chunks, chunk = i % R::chunks, h = head + row % heads;
    uint4 v{};
    if (h < s.heads) v = __ldg(reinterpret_cast<const uint4*>(q + ((run.first + row / heads) * s.heads + h) * stride) + chunk);
    *reinterpret_cast<uint4*>(to + R::offset(row, chunk)) = v;
  }
}

// One query's heads as fragments, and what their products are worth.
template <class R, int tiles>
struct Query {
  std::uint32_t b[tiles][R::steps][2];
  float weights[tiles][2];
};

// Lane (g, t) reads bytes 4t .. 4t + 3 of each chunk of key or head g. In e4m3 these are four numbers of a step of 16: numbers 4t + {0, 1} take the
// places 2t + {0, 1} of the mma's K, and 4t + {2, 3} the places 2t + {8, 9}, in queries as in keys.
template <class R, int tiles>
__device__ void load_fragments(Query<R, tiles>& query, const std::byte* rows) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int n = 0; n < tiles; ++n)
#pragma unroll
    for (int k = 0; k < R::steps; ++k) {
      const auto word = [&](int chunk) { return *reinterpret_cast<const std::uint32_t*>(rows + R::offset(n * mma_heads + g, chunk) + 4 * t); };
      if constexpr (R::fp8) {
        const std::uint32_t four = word(k);
        query.b[n][k][0] = e4m3_to_f16(four);
        query.b[n][k][1] = e4m3_to_f16(four >> 16);
      } else {
        query.b[n][k][0] = word(2 * k);
        query.b[n][k][1] = word(2 * k + 1);
      }
    }
}

// factor * w * sq of heads 2t and 2t + 1 of every tile.
template <class R, int tiles>
__device__ void load_weights(Query<R, tiles>& query, const Scores& s, std::int64_t token, int head) {
#pragma unroll
  for (int n = 0; n < tiles; ++n)
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int h = head + n * mma_heads + threadIdx.x % 4 * 2 + j;
      if (h >= s.heads) {
        query.weights[n][j] = 0;
        continue;
      }
      const float w = static_cast<const float*>(s.w.data)[token * s.w.stride + h];
      query.weights[n][j] = s.factor * (R::fp8 ? w * s.q.scales[token * s.heads + h] : w);
    }
}

// c[n] = the products of 16 keys, rows row .. row + 15 of the stage, with tile n of the heads.
template <class R, int tiles>
__device__ void multiply(float (&c)[tiles][4], const Query<R, tiles>& query, const std::byte* stage, int row) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int pair = 0; pair < R::chunks / 2; ++pair) {
    std::uint32_t r[4];
    load_matrices(r, shared_address(stage + R::offset(row + lane % 16, 2 * pair + lane / 16)));
    if constexpr (R::fp8) {
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        const std::uint32_t a[4] = {e4m3_to_f16(r[2 * k]), e4m3_to_f16(r[2 * k + 1]), e4m3_to_f16(r[2 * k] >> 16), e4m3_to_f16(r[2 * k + 1] >> 16)};
#pragma unroll
        for (int n = 0; n < tiles; ++n) multiply_f16(c[n], a, query.b[n][2 * pair + k][0], query.b[n][2 * pair + k][1]);
      }
    } else {
#pragma unroll
      for (int n = 0; n < tiles; ++n) multiply_bf16(c[n], r, query.b[n][pair][0], query.b[n][pair][1]);
    }
  }
}

// sum_h weight[h] * relu(c[key, h]): of key g in lanes with t = 0, of key g + 8 where t = 1.
template <int tiles>
__device__ float weighted_sum(const float (&c)[tiles][4], const float (&weights)[tiles][2]) {
  float low = 0, high = 0;
#pragma unroll
  for (int n = 0; n < tiles; ++n)
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      low += weights[n][j] * fmaxf(c[n][j], 0.0f);
      high += weights[n][j] * fmaxf(c[n][2 + j], 0.0f);
    }
  const bool odd = threadIdx.x % 2;
  const float sum = (odd ? high : low) + __shfl_xor_sync(all_lanes, odd ? low : high, 1);
  return sum + __shfl_xor_sync(all_lanes, sum, 2);
}

// A warp's tiles of one stage: every parts-th from `part` on. Heads past the first pass are added to it.
template <class R, int tiles>
__device__ void score_stage(const Query<R, tiles>& query, const std::byte* stage, int first_key, int visible, int part, int parts, bool add, float* logits) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  for (int row = part * mma_keys; row < stage_keys && first_key + row < visible; row += parts * mma_keys) {
    float c[tiles][4] = {};
    multiply<R, tiles>(c, query, stage, row);
    float sum = weighted_sum<tiles>(c, query.weights);
    const int own = row + g + 8 * t, key = first_key + own;
    if (t < 2 && key < visible) {
      if constexpr (R::fp8) sum *= reinterpret_cast<const float*>(stage + pages_per_stage * R::page_keys_bytes)[own];
      logits[key] = add ? logits[key] + sum : sum;
    }
  }
}

template <class R, int tiles>
__device__ void score_run(const Scores& s, const Run& run, int head, std::byte* shared) {
  const int warp = threadIdx.x / 32, own = warp % s.tile;
  const std::int64_t token = run.first + own;
  std::byte* stages = shared + s.tile * tiles * mma_heads * R::bytes;
  const auto slot = [&](int stage) { return stages + (stage - run.first_stage) % R::depth * R::stage_bytes; };
  const auto load = [&](int stage) {
    if (stage < run.last_stage) load_stage<R>(s, run, stage, shared_address(slot(stage)));
    commit_copies();
  };

  __syncthreads();  // the run before has been read
  for (int i = 0; i < R::depth - 1; ++i) load(run.first_stage + i);
  load_queries<R, tiles * mma_heads>(s, run, head, shared);
  __syncthreads();
  Query<R, tiles> query;
  int visible = 0;  // a warp without a query only loads
  if (token < run.last) {
    visible = s.context.visible[token];
    load_fragments<R, tiles>(query, shared + own * tiles * mma_heads * R::bytes);
    load_weights<R, tiles>(query, s, token, head);
  }

  float* logits = static_cast<float*>(s.logits.data) + token * s.logits.stride;
  for (int stage = run.first_stage; stage < run.last_stage; ++stage) {
    wait_copies<R::depth - 2>();
    __syncthreads();  // this stage is there, and the one before has been read
    load(stage + R::depth - 1);
    score_stage<R, tiles>(query, slot(stage), stage * stage_keys, visible, warp / s.tile, warps / s.tile, head > 0, logits);
  }
}

// The queries of `sequence` from `first` on, up to `last`, and this block's share of their keys.
__device__ Run run_from(const Scores& s, std::int64_t first, std::int64_t last) {
  const std::int32_t sequence = s.context.sequence[first];
  Run run{first, first, s.context.pages + sequence * s.context.max_pages, 0, 0, 0};
  for (; run.last < last && s.context.sequence[run.last] == sequence; ++run.last) run.visible = max(run.visible, s.context.visible[run.last]);
  const std::int64_t stages = (run.visible + stage_keys - 1) / stage_keys, split = blockIdx.x % s.splits;
  run.first_stage = static_cast<int>(stages * split / s.splits);
  run.last_stage = static_cast<int>(stages * (split + 1) / s.splits);
  return run;
}

template <DType type, int dims, int tiles>
__global__ void __launch_bounds__(threads, 1) index_logits_kernel(const Scores s) {
  extern __shared__ __align__(128) std::byte shared[];
  const std::int64_t block = (gridDim.x - 1 - blockIdx.x) / s.splits;  // later queries see more keys: the longest work starts first
  const std::int64_t last = min((block + 1) * s.tile, s.tokens);
  for (std::int64_t t = block * s.tile; t < last;) {
    const Run run = run_from(s, t, last);
    if (run.first_stage < run.last_stage)
      for (int head = 0; head < s.heads; head += tiles * mma_heads) score_run<Rows<type, dims>, tiles>(s, run, head, shared);
    t = run.last;
  }
}

template <DType type, int dims, int tiles>
void launch(Scores s, Stream stream) {
  using R = Rows<type, dims>;
  const std::int64_t blocks = ceil_div(s.tokens, s.tile);
  s.splits = splits_for(blocks, s.tile, ceil_div(s.context.max_visible, stage_keys), multiprocessors, stages_per_wave);
  const int bytes = s.tile * tiles * mma_heads * R::bytes + R::depth * R::stage_bytes;
  const auto kernel = index_logits_kernel<type, dims, tiles>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes), "index_logits");
  kernel<<<static_cast<unsigned>(blocks * s.splits), threads, static_cast<std::size_t>(bytes), stream>>>(s);
  check_launch("index_logits");
}

template <DType type, int dims>
void launch_heads(const Scores& s, Stream stream) {
  if (s.heads <= 8) launch<type, dims, 1>(s, stream);
  else if (s.heads <= 16) launch<type, dims, 2>(s, stream);
  else if (s.heads <= 32) launch<type, dims, 4>(s, stream);
  else launch<type, dims, 8>(s, stream);
}

template <DType type>
void launch_dims(const Scores& s, Stream stream) {
  if (s.cache.dims == 32) launch_heads<type, 32>(s, stream);
  else if (s.cache.dims == 64) launch_heads<type, 64>(s, stream);
  else launch_heads<type, 128>(s, stream);
}

}  // namespace

void index_logits(const model_spec::IndexLogits<std::int64_t>& op, std::int64_t tokens, float factor, const Matrix& q, const Matrix& w, const IndexCache& cache,
                  const Context& context, const Matrix& logits, Stream stream) {
  assert(op.heads % 8 == 0 && op.heads <= 128 && (op.dims == 32 || op.dims == 64 || op.dims == 128));
  assert(q.type == cache.type && q.columns == op.dims && cache.dims == op.dims && q.rows >= tokens * op.heads);
  assert(w.type == DType::fp32 && w.columns == op.heads && logits.type == DType::fp32 && logits.columns >= context.max_visible);
  if (tokens == 0) return;
  if (index_logits_take_wgmma(op, cache)) return index_logits_wgmma(op, tokens, factor, q, w, cache, context, logits, stream);
  const int tile = op.new_tokens >= 8 ? 8 : op.new_tokens >= 4 ? 4 : op.new_tokens >= 2 ? 2 : 1;
  const Scores s{q, w, logits, cache, context, tokens, static_cast<int>(op.heads), tile, 1, factor};
  if (cache.type == DType::fp8_row) return launch_dims<DType::fp8_row>(s, stream);
  assert(cache.type == DType::bf16);
  launch_dims<DType::bf16>(s, stream);
}

}  // namespace fathom::kernels::cuda
