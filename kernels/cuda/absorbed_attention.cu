// Attention in absorbed form: every head of a query sees the same keys, records (c_kv, k_pe) of the latent cache; their c_kv are the values too.
//   s[h, j] = scale * q[h] . (c_kv[j], k_pe[j])      p[h, j] = exp(s[h, j] - max_j s[h, j])      o[h] = sum_j p[h, j] c_kv[j] / sum_j p[h, j]
// Floor: 2 * pairs * heads * (2 * latent + rope) flops of bf16, or each record once from memory; with 128 heads the flops (model_spec/ops/attention.h).
//
// A block takes one query, up to 64 heads and 64 keys a step. A record becomes bf16 in shared memory once for all these heads; the next step's are
// under way meanwhile. Warps share the scores as 16 heads x some keys and the sums as all heads x some columns, in registers. With few queries the
// keys of one are split among several blocks, whose sums a second kernel adds up in a fixed order.
//
// V3.2's size with more than 32 heads goes to products of warpgroups instead (absorbed_wgmma.cu), by the same blocks and splits.
#include "kernels/cuda/attention.h"

#include "kernels/cuda/absorbed.cuh"

namespace fathom::kernels::cuda {
namespace {

using model_spec::CacheFormat;
using namespace absorbed;

// The sizes that a kernel is made for.
template <int heads_, int latent_, bool fp8_>
struct Shape {
  static constexpr int heads = heads_, latent = latent_, width = latent + rope_width;
  static constexpr bool fp8 = fp8_;
  static constexpr int warps = 8, threads = 32 * warps;
  static constexpr int head_tiles = heads / 16;                                             // of 16
  static constexpr int key_warps = warps / head_tiles, warp_keys = block_keys / key_warps;  // scores: 16 heads x warp_keys a warp
  static constexpr int key_tiles = warp_keys / 8;                                           // of 8
  static constexpr int warp_columns = latent / warps, column_tiles = warp_columns / 8;      // sums: heads x warp_columns a warp
  static_assert((key_tiles == 1 || key_tiles % 2 == 0) && column_tiles % 2 == 0);
};

// Rows of q, k and p are swizzled (attention.cuh).
template <class S>
struct alignas(128) Shared {
  Bf16 q[S::heads][S::width];
  Bf16 k[2][block_keys][S::width];
  Bf16 p[S::heads][block_keys];
  float parts[S::key_warps][S::heads];  // maxima, in the end sums of p
  float factors[S::heads];              // what earlier sums are multiplied with, in the end the maxima
  std::int32_t rows[2][block_keys];     // records of the keys, -1: none
};

// The column of (latent, rope) that chunk c of a row in shared memory begins with; -1: padding.
template <class S>
__device__ int source_column(const Problem& p, int c) {
  const int column = 8 * c, rope = column - S::latent;
  if (rope < 0) return column < p.latent ? column : -1;
  return rope < p.rope ? p.latent + rope : -1;
}

// A row of bf16 to row `to` of a tile by eight threads, of which this is number `part`; null: zeros. `anywhere` is a valid address.
template <class S>
__device__ void copy_row(const Problem& p, const Bf16* from, const void* anywhere, Bf16* to, int row, int part) {
#pragma unroll
  for (int c = part; c < S::width / 8; c += 8) {
    const int column = from ? source_column<S>(p, c) : -1;
    copy16_async(swizzled(shared_address(to), row, c), column < 0 ? anywhere : from + column, column < 0 ? 0 : 16);
  }
}

template <class S>
__device__ void copy_queries(const Problem& p, Shared<S>& s, int token, int first_head) {
  for (int h = threadIdx.x / 8; h < S::heads; h += S::threads / 8) {
    const bool exists = first_head + h < p.heads;
    copy_row<S>(p, exists ? p.q + (std::int64_t{token} * p.heads + first_head + h) * p.q_stride : nullptr, p.q, s.q[h], h, threadIdx.x % 8);
  }
}

// Brings a step's records into s.k[buffer] as bf16: start() sends for them, finish() does what is left once the scores before are done.
template <class S, bool fp8 = S::fp8>
struct Loader {
  __device__ void start(const Problem& p, Shared<S>& s, int buffer) {
#pragma unroll
    for (int key = threadIdx.x / 8; key < block_keys; key += S::threads / 8) {
      const std::int32_t row = s.rows[buffer][key];
      const auto* record = reinterpret_cast<const Bf16*>(p.records + row * p.record_bytes);
      copy_row<S>(p, row < 0 ? nullptr : record, p.records, s.k[buffer][key], key, threadIdx.x % 8);
    }
  }
  __device__ void finish(Shared<S>&, int) {}
};

// Records of e4m3[latent], fp32[ceil(latent / 128)], bf16[rope]: four threads a key, 16 numbers of 64 each. Codes wait in registers.
template <class S>
struct Loader<S, true> {
  static constexpr int keys = S::threads / 4, passes = block_keys / keys, runs = S::latent / 64;
  uint4 codes[passes][runs];
  float scale[passes];  // the part-th of the key's

  __device__ static int key(int pass) { return pass * keys + threadIdx.x / 4; }
  __device__ static int part() { return threadIdx.x % 4; }

  __device__ void start(const Problem& p, Shared<S>& s, int buffer) {
    const int groups = ceil_div(p.latent, model_spec::scale_block);
    const bool aligned = p.record_bytes % 16 == 0 && (p.latent + 4 * groups) % 16 == 0;
#pragma unroll
    for (int pass = 0; pass < passes; ++pass) {
      const std::int32_t row = s.rows[buffer][key(pass)];
      const std::byte* record = p.records + (row < 0 ? 0 : row) * p.record_bytes;
#pragma unroll
      for (int run = 0; run < runs; ++run) {
        const int column = run * 64 + part() * 16;
        codes[pass][run] = row >= 0 && column < p.latent ? load16(record + column, aligned) : uint4{};
      }
      scale[pass] = row >= 0 && part() < groups ? __ldg(reinterpret_cast<const float*>(record + p.latent) + part()) : 0.0f;
      copy_rope(p, record + p.latent + 4 * groups, row >= 0, aligned, s.k[buffer][key(pass)], key(pass));
    }
  }
  __device__ void finish(Shared<S>& s, int buffer) {
#pragma unroll
    for (int pass = 0; pass < passes; ++pass) {
      std::byte* const to = reinterpret_cast<std::byte*>(s.k[buffer][key(pass)]);
#pragma unroll
      for (int run = 0; run < runs; ++run) {
        const float factor = __shfl_sync(~0u, scale[pass], run / 2, 4);  // 64 numbers a run, 128 a scale
        const uint4 c = codes[pass][run];
        const int chunk = run * 8 + part() * 2;
        *reinterpret_cast<uint4*>(to + swizzled(0, key(pass), chunk)) = dequantise(c.x, c.y, factor);
        *reinterpret_cast<uint4*>(to + swizzled(0, key(pass), chunk + 1)) = dequantise(c.z, c.w, factor);
      }
    }
  }

 private:
  // Records of small models stand at any 4 bytes.
  __device__ static uint4 load16(const std::byte* from, bool aligned) {
    if (aligned) return __ldg(reinterpret_cast<const uint4*>(from));
    const auto* words = reinterpret_cast<const std::uint32_t*>(from);
    return {__ldg(words), __ldg(words + 1), __ldg(words + 2), __ldg(words + 3)};
  }
  __device__ static void copy_rope(const Problem& p, const std::byte* from, bool exists, bool aligned, Bf16* to, int row) {
#pragma unroll
    for (int c = part(); c < rope_width / 8; c += 4) {
      const std::uint32_t chunk = swizzled(shared_address(to), row, S::latent / 8 + c);
      const bool inside = exists && 8 * c < p.rope;
      if (aligned || !inside) copy16_async(chunk, inside ? from + 16 * c : p.records, inside ? 16 : 0);
      else
        for (int word = 0; word < 4; ++word) copy4_async(chunk + 4 * word, from + 16 * c + 4 * word, 4);
    }
  }
  __device__ static std::uint32_t dequantise(std::uint32_t two_codes, float factor) {
    const float2 x = unpack_e4m3(static_cast<std::uint16_t>(two_codes));
    return pack_bf16(x.x * factor, x.y * factor);
  }
  __device__ static uint4 dequantise(std::uint32_t low, std::uint32_t high, float factor) {
    return {dequantise(low, factor), dequantise(low >> 16, factor), dequantise(high, factor), dequantise(high >> 16, factor)};
  }
};

// Where a thread stands: its warp's part of the scores, and its part of a 16 x 8 tile of them (multiply_bf16).
template <class S>
struct Place {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int head_tile = warp % S::head_tiles, key_warp = warp / S::head_tiles;
  int row = lane / 4, column = lane % 4 * 2;
  [[nodiscard]] __device__ int head(int half) const { return 16 * head_tile + 8 * half + row; }
  [[nodiscard]] __device__ int key(int tile) const { return key_warp * S::warp_keys + 8 * tile + column; }
};

// 16 heads x warp_keys keys: q . k, 32 columns at a time.
template <class S>
__device__ void score(const Shared<S>& s, int buffer, const Place<S>& at, float (&scores)[S::key_tiles][4]) {
  const FragmentRow a_row = fragment_row(), b_row = S::key_tiles == 1 ? single_fragment_row() : paired_fragment_row();
  const std::uint32_t q = shared_address(s.q[16 * at.head_tile + a_row.row]), k = shared_address(s.k[buffer][at.key_warp * S::warp_keys + b_row.row]);
#pragma unroll
  for (int i = 0; i < S::key_tiles; ++i) scores[i][0] = scores[i][1] = scores[i][2] = scores[i][3] = 0;
#pragma unroll
  for (int chunk = 0; chunk < S::width / 8; chunk += 4) {
    std::uint32_t a[2][4], b[4];
    load_matrices(a[0], a_row.chunk(q, chunk));
    load_matrices(a[1], a_row.chunk(q, chunk + 2));
    if constexpr (S::key_tiles == 1) {
      load_matrices(b, b_row.chunk(k, chunk));
      multiply_bf16(scores[0], a[0], b[0], b[1]);
      multiply_bf16(scores[0], a[1], b[2], b[3]);
    } else {
#pragma unroll
      for (int i = 0; i < S::key_tiles; ++i) {  // two tiles of keys x 16 columns
        const int half = i % 2, tile = i - half;
        load_matrices(b, b_row.chunk(k + 8 * tile * S::width * sizeof(Bf16), chunk + 2 * half));
        multiply_bf16(scores[tile], a[half], b[0], b[1]);
        multiply_bf16(scores[tile + 1], a[half], b[2], b[3]);
      }
    }
  }
}

// The softmax so far of heads row and row + 8 of a warp's sixteen; sums over this thread's keys only.
struct Running {
  float most[2] = {nothing, nothing}, sum[2] = {0, 0};
};

// Scores of keys that do not exist become -inf; the largest of each head to s.parts.
template <class S>
__device__ void mask_and_maximise(Shared<S>& s, int buffer, const Place<S>& at, float (&scores)[S::key_tiles][4]) {
  float most[2] = {nothing, nothing};
#pragma unroll
  for (int tile = 0; tile < S::key_tiles; ++tile)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (s.rows[buffer][at.key(tile) + i % 2] < 0) scores[tile][i] = -INFINITY;
      most[i / 2] = fmaxf(most[i / 2], scores[tile][i]);
    }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float largest = quad_max(most[half]);
    if (at.column == 0) s.parts[at.key_warp][at.head(half)] = largest;
  }
}

// p = 2^(factor * (score - most)) to s.p.
template <class S>
__device__ void exponentiate(Shared<S>& s, float factor, const Place<S>& at, const float (&scores)[S::key_tiles][4], Running& running) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float most = running.most[half], sum = 0;
#pragma unroll
    for (int w = 0; w < S::key_warps; ++w) most = fmaxf(most, s.parts[w][at.head(half)]);
    std::byte* const row = reinterpret_cast<std::byte*>(s.p[at.head(half)]);
#pragma unroll
    for (int tile = 0; tile < S::key_tiles; ++tile) {
      const float x = power_of_two(fmaf(scores[tile][2 * half], factor, -most * factor));
      const float y = power_of_two(fmaf(scores[tile][2 * half + 1], factor, -most * factor));
      sum += x + y;
      *reinterpret_cast<std::uint32_t*>(row + swizzled(0, at.head(half), at.key(tile) / 8) + 2 * at.column) = pack_bf16(x, y);
    }
    const float shrink = power_of_two((running.most[half] - most) * factor);
    running.sum[half] = running.sum[half] * shrink + sum;
    running.most[half] = most;
    if (at.key_warp == 0 && at.column == 0) s.factors[at.head(half)] = shrink;
  }
}

template <class S>
using Sums = float[S::head_tiles][S::column_tiles][4];

// o = o * factors + p c_kv: all heads x this warp's columns.
template <class S>
__device__ void accumulate(const Shared<S>& s, int buffer, const Place<S>& at, Sums<S>& o) {
#pragma unroll
  for (int h = 0; h < S::head_tiles; ++h)
#pragma unroll
    for (int c = 0; c < S::column_tiles; ++c)
#pragma unroll
      for (int i = 0; i < 4; ++i) o[h][c][i] *= s.factors[16 * h + 8 * (i / 2) + at.row];
  const FragmentRow row = fragment_row();  // of p, and of the values, which are read across
  const std::uint32_t p = shared_address(s.p[row.row]), v = shared_address(s.k[buffer][row.row]);
#pragma unroll
  for (int step = 0; step < block_keys / 16; ++step) {
    std::uint32_t a[S::head_tiles][4];
#pragma unroll
    for (int h = 0; h < S::head_tiles; ++h) load_matrices(a[h], row.chunk(p + 16 * h * block_keys * sizeof(Bf16), 2 * step));
#pragma unroll
    for (int c = 0; c < S::column_tiles; c += 2) {
      std::uint32_t b[4];
      load_matrices_transposed(b, row.chunk(v + 16 * step * S::width * sizeof(Bf16), at.warp * S::column_tiles + c));
#pragma unroll
      for (int h = 0; h < S::head_tiles; ++h) {
        multiply_bf16(o[h][c], a[h], b[0], b[1]);
        multiply_bf16(o[h][c + 1], a[h], b[2], b[3]);
      }
    }
  }
}

// Sums and maxima of all heads to s.parts and s.factors, for every warp to see.
template <class S>
__device__ void share_norms(Shared<S>& s, float factor, const Place<S>& at, const Running& running) {
  __syncthreads();
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float sum = quad_sum(running.sum[half]);
    if (at.column != 0) continue;
    s.parts[at.key_warp][at.head(half)] = sum;
    if (at.key_warp == 0) s.factors[at.head(half)] = running.most[half] * factor;
  }
  __syncthreads();
}

// Heads row and row + 8 of tile h: o / sum, or for a query of several blocks the parts of both.
template <class S>
__device__ void store(const Problem& p, const Shared<S>& s, int token, int first_head, const Place<S>& at, const Sums<S>& o) {
#pragma unroll
  for (int i = 0; i < 2 * S::head_tiles; ++i) {
    const int tile = i / 2, half = i % 2, in_block = 8 * i + at.row, head = first_head + in_block;
    if (head >= p.heads) continue;
    float sum = 0;
    for (int w = 0; w < S::key_warps; ++w) sum += s.parts[w][in_block];
    const std::int64_t row = std::int64_t{token} * p.heads + head, part = row * p.splits + blockIdx.y;
    const float inverse = sum > 0 ? 1 / sum : 0;
    if (p.splits > 1 && at.warp == 0 && at.column == 0) p.norms[part] = {s.factors[in_block], sum};
#pragma unroll
    for (int c = 0; c < S::column_tiles; ++c) {
      const int column = at.warp * S::warp_columns + 8 * c + at.column;
      const float x = o[tile][c][2 * half], y = o[tile][c][2 * half + 1];
      if (column >= p.latent) continue;
      if (p.splits > 1) *reinterpret_cast<float2*>(p.sums + part * p.latent + column) = {x, y};
      else *reinterpret_cast<std::uint32_t*>(p.o + row * p.o_stride + column) = pack_bf16(x * inverse, y * inverse);
    }
  }
}

// Grid: (token, block of heads) x split. Each split has an equal share of the steps.
template <class S>
__global__ void __launch_bounds__(S::threads, 1) attend(const __grid_constant__ Problem p) {
  extern __shared__ __align__(128) std::byte memory[];
  auto& s = *reinterpret_cast<Shared<S>*>(memory);
  const int head_blocks = ceil_div(p.heads, S::heads), token = blockIdx.x / head_blocks, first_head = blockIdx.x % head_blocks * S::heads;
  const Keys keys(p, token);
  const int steps = ceil_div(keys.count, block_keys), share = ceil_div(steps, p.splits);
  const int first = blockIdx.y * share, last = min(first + share, steps);
  const Place<S> at;
  const auto position = [&](int step) { return threadIdx.x < block_keys ? keys.position(step * block_keys + threadIdx.x) : -1; };

  Loader<S> loader;
  Sums<S> o = {};
  Running running;
  copy_queries(p, s, token, first_head);
  if (threadIdx.x < 2 * block_keys) s.rows[threadIdx.x / block_keys][threadIdx.x % block_keys] = keys.row(keys.position(first * block_keys + threadIdx.x));
  __syncthreads();
  if (first < last) {
    loader.start(p, s, 0);
    loader.finish(s, 0);
  }
  commit_copies();
  for (int step = first; step < last; ++step) {
    const int buffer = (step - first) % 2;
    wait_copies<0>();
    __syncthreads();  // this step's keys are there; nobody reads those of the step before any more
    const std::int32_t next_position = position(step + 2);
    if (step + 1 < last) loader.start(p, s, 1 - buffer);
    commit_copies();
    float scores[S::key_tiles][4];
    score(s, buffer, at, scores);
    mask_and_maximise(s, buffer, at, scores);
    if (step + 1 < last) loader.finish(s, 1 - buffer);
    __syncthreads();
    const std::int32_t next_row = keys.row(next_position);
    exponentiate(s, p.factor, at, scores, running);
    __syncthreads();
    accumulate(s, buffer, at, o);
    if (threadIdx.x < block_keys) s.rows[buffer][threadIdx.x] = next_row;
  }
  wait_copies<0>();
  share_norms(s, p.factor, at, running);
  store(p, s, token, first_head, at, o);
}

// A row of o from its parts: each times 2^(its maximum - the largest). Four columns a thread.
__global__ void combine(const __grid_constant__ Problem p) {
  const std::int64_t row = blockIdx.x;
  const float2* norms = p.norms + row * p.splits;
  float most = -INFINITY, sum = 0;
  for (int i = 0; i < p.splits; ++i)
    if (norms[i].y > 0) most = fmaxf(most, norms[i].x);
  const int column = 4 * threadIdx.x;
  if (column >= p.latent) return;
  float4 o{};
  for (int i = 0; i < p.splits; ++i) {
    if (!(norms[i].y > 0)) continue;
    const float weight = power_of_two(norms[i].x - most);
    const float4 part = *reinterpret_cast<const float4*>(p.sums + (row * p.splits + i) * p.latent + column);
    sum += weight * norms[i].y;
    o = {o.x + weight * part.x, o.y + weight * part.y, o.z + weight * part.z, o.w + weight * part.w};
  }
  const float inverse = sum > 0 ? 1 / sum : 0;
  *reinterpret_cast<uint2*>(p.o + row * p.o_stride + column) = {pack_bf16(o.x * inverse, o.y * inverse), pack_bf16(o.z * inverse, o.w * inverse)};
}

int heads_of_block(int heads) { return heads <= 16 ? 16 : heads <= 32 ? 32 : 64; }
// As many blocks a query as fill the device once.
int splits(std::int64_t tokens, std::int64_t heads) {
  const std::int64_t blocks = tokens * ceil_div(static_cast<int>(heads), heads_of_block(static_cast<int>(heads)));
  return blocks == 0 || blocks > multiprocessors ? 1 : static_cast<int>(multiprocessors / blocks);
}

template <class S>
void launch(const Problem& p, std::int64_t tokens, Stream stream) {
  check(cudaFuncSetAttribute(attend<S>, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared<S>)), "absorbed attention");
  const dim3 grid(static_cast<unsigned>(tokens * ceil_div(p.heads, S::heads)), static_cast<unsigned>(p.splits));
  attend<S><<<grid, S::threads, sizeof(Shared<S>), stream>>>(p);
  check_launch("absorbed attention");
}
template <int heads, int latent>
void launch(const Problem& p, CacheFormat format, std::int64_t tokens, Stream stream) {
  format == CacheFormat::fp8 ? launch<Shape<heads, latent, true>>(p, tokens, stream) : launch<Shape<heads, latent, false>>(p, tokens, stream);
}
template <int heads>
void launch(const Problem& p, CacheFormat format, std::int64_t tokens, Stream stream) {
  p.latent <= 128 ? launch<heads, 128>(p, format, tokens, stream) : launch<heads, 512>(p, format, tokens, stream);
}

void launch_warps(const Problem& p, CacheFormat format, std::int64_t tokens, Stream stream) {
  switch (heads_of_block(p.heads)) {
    case 16: launch<16>(p, format, tokens, stream); break;
    case 32: launch<32>(p, format, tokens, stream); break;
    default: launch<64>(p, format, tokens, stream);
  }
}

void launch(Problem p, CacheFormat format, std::int64_t tokens, const Workspace& workspace, Stream stream) {
  assert(p.latent % 16 == 0 && p.latent <= 512 && p.rope % 8 == 0 && p.rope <= rope_width && p.factor > 0);
  assert(p.q_stride % 8 == 0 && p.o_stride % 8 == 0 && (format == CacheFormat::fp8 || p.record_bytes % 16 == 0));
  if (tokens == 0) return;
  p.splits = splits(tokens, p.heads);
  assert(workspace.bytes >= attention_workspace(tokens, p.heads, p.latent));
  p.sums = static_cast<float*>(workspace.data);
  p.norms = reinterpret_cast<float2*>(p.sums + tokens * p.heads * p.splits * p.latent);
  if (for_warpgroups(p, tokens)) launch_warpgroups(p, format, tokens, stream);
  else launch_warps(p, format, tokens, stream);
  if (p.splits == 1) return;
  combine<<<static_cast<unsigned>(tokens * p.heads), static_cast<unsigned>(ceil_div(p.latent, 4)), 0, stream>>>(p);
  check_launch("absorbed attention: sums of blocks");
}

// What both have in common.
template <class Op>
Problem problem(const Op& op, float scale, const Matrix& q, const LatentCache& cache, const Context& context, const Matrix& o) {
  assert(cache.latent == op.latent && cache.rope == op.rope);
  return {.q = static_cast<const Bf16*>(q.data),
          .o = static_cast<Bf16*>(o.data),
          .q_stride = q.stride,
          .o_stride = o.stride,
          .heads = static_cast<int>(op.heads),
          .latent = static_cast<int>(op.latent),
          .rope = static_cast<int>(op.rope),
          .factor = scale * log2_e,
          .records = static_cast<const std::byte*>(cache.data),
          .record_bytes = model_spec::latent_cache_bytes<std::int64_t>(cache.format, 1, op.latent, op.rope),
          .context = context};
}

}  // namespace

std::int64_t attention_workspace(std::int64_t tokens, std::int64_t heads, std::int64_t latent) {
  const std::int64_t n = splits(tokens, heads);
  return n == 1 ? 0 : tokens * heads * n * static_cast<std::int64_t>(latent * sizeof(float) + sizeof(float2));
}

void dense_mqa(const model_spec::DenseMqa<std::int64_t>& op, std::int64_t tokens, float scale, const Matrix& q, const LatentCache& cache,
               const Context& context, const Workspace& workspace, const Matrix& o, Stream stream) {
  launch(problem(op, scale, q, cache, context, o), cache.format, tokens, workspace, stream);
}

void sparse_mla(const model_spec::SparseMla<std::int64_t>& op, std::int64_t tokens, float scale, const Matrix& q, const Matrix& indices,
                const LatentCache& cache, const Matrix& copy, const std::int32_t* first_key, const Context& context, const Workspace& workspace,
                const Matrix& o, Stream stream) {
  Problem p = problem(op, scale, q, cache, context, o);
  p.indices = static_cast<const std::int32_t*>(indices.data);
  p.indices_stride = indices.stride;
  p.topk = static_cast<int>(op.topk);
  if (copy.data) {
    p.records = static_cast<const std::byte*>(copy.data);
    p.record_bytes = copy.stride * static_cast<std::int64_t>(sizeof(Bf16));
    p.first_key = first_key;
  }
  launch(p, copy.data ? CacheFormat::bf16 : cache.format, tokens, workspace, stream);
}

}  // namespace fathom::kernels::cuda
