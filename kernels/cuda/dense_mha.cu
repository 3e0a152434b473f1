// Attention of prompts over expanded keys and values, each head with its own:
//   s[t, j] = scale * q[t] . (k_nope[j], k_pe[j])      p[t, j] = exp(s[t, j] - max_j s[t, j])      o[t] = sum_j p[t, j] v[j] / sum_j p[t, j]
// over the keys j < visible[t] of t's sequence, or those of them that the indexer chose.
// Floor: 2 * pairs * heads * (nope + rope + v) flops of bf16 (model_spec/ops/attention.h).
//
// A block takes 128 queries of one head and 64 keys of one sequence a step, with the softmax of the steps so far in registers; a warp takes 32 of the
// queries. Keys of the next step come while values are added up, values while keys are scored. Queries of several sequences go through the keys of
// each in turn: those of another one are masked. Chosen keys become a bit each in the workspace, once for all heads. This kernel serves any widths; those
// of V3.2 have one on wgmma (mha_wgmma.cu).
#include "kernels/cuda/attention.h"

#include "kernels/cuda/mha.cuh"

namespace fathom::kernels::cuda {
namespace {

constexpr int warps = 4, threads = 32 * warps, warp_queries = 32, block_queries = warps * warp_queries;
constexpr int query_tiles = warp_queries / 16, key_tiles = block_keys / 8;  // of a warp's scores

// The widths that a kernel is made for; narrower rows are padded with zeros.
template <int width_, int v_, bool masked_>
struct Shape {
  static constexpr int width = width_, v = v_, column_tiles = v / 8;
  static constexpr bool masked = masked_;
};

// Rows of q, k and v are swizzled (attention.cuh).
template <class S>
struct alignas(128) Shared {
  Bf16 q[block_queries][S::width];
  Bf16 k[block_keys][S::width];
  Bf16 v[block_keys][S::v];
  std::int32_t sequence[block_queries], visible[block_queries];
};

// Queries first .. first + block_queries of one head; zeros beyond the last.
template <class S>
__device__ void copy_queries(const MhaProblem& p, Shared<S>& s, int first, int queries, int head) {
  for (int i = static_cast<int>(threadIdx.x) / 8; i < block_queries; i += threads / 8) {
    const Bf16* row = p.q + (std::int64_t{first + min(i, queries - 1)} * p.heads + head) * p.q_stride;
#pragma unroll
    for (int c = static_cast<int>(threadIdx.x) % 8; c < S::width / 8; c += 8) {
      const bool inside = i < queries && 8 * c < p.nope + p.rope;
      copy16_async(swizzled(shared_address(s.q[i]), i, c), inside ? row + 8 * c : p.q, inside ? 16 : 0);
    }
  }
}

// visit(i, key): eight threads for each key i of the step; key is its row, clamped to those that exist.
template <class Visit>
__device__ void each_key(const MhaProblem& p, const std::int32_t* sequence, const MhaStep& step, Visit visit) {
  const std::int64_t first = p.first_key[sequence[step.first]];
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x) / 8; i < block_keys; i += threads / 8)
    visit(i, first + min(step.key + i, step.keys - 1), step.key + i < step.keys);
}

template <class S>
__device__ void copy_keys(const MhaProblem& p, Shared<S>& s, const MhaStep& step, int head) {
  each_key(p, s.sequence, step, [&](int i, std::int64_t key, bool exists) {
    const Bf16 *nope = p.kv + (key * p.heads + head) * p.kv_stride, *rope = p.k_pe + key * p.k_pe_stride;
#pragma unroll
    for (int c = static_cast<int>(threadIdx.x) % 8; c < S::width / 8; c += 8) {
      const int column = 8 * c;
      const bool inside = exists && column < p.nope + p.rope;
      const Bf16* from = !inside ? p.kv : column < p.nope ? nope + column : rope + (column - p.nope);
      copy16_async(swizzled(shared_address(s.k[i]), i, c), from, inside ? 16 : 0);
    }
  });
}
template <class S>
__device__ void copy_values(const MhaProblem& p, Shared<S>& s, const MhaStep& step, int head) {
  each_key(p, s.sequence, step, [&](int i, std::int64_t key, bool exists) {
    const Bf16* row = p.kv + (key * p.heads + head) * p.kv_stride + p.nope;
#pragma unroll
    for (int c = static_cast<int>(threadIdx.x) % 8; c < S::v / 8; c += 8) {
      const bool inside = exists && 8 * c < p.v;
      copy16_async(swizzled(shared_address(s.v[i]), i, c), inside ? row + 8 * c : p.kv, inside ? 16 : 0);
    }
  });
}

// A bit for each key of a step that a query's row of `chosen` names. Lane i keeps those of the warp's query i.
struct Chosen {
  std::uint32_t low = 0, high = 0;

  __device__ void load(const MhaProblem& p, const MhaStep& step, int first_token, int first_query) {
    const int query = first_query + static_cast<int>(lane_id());
    const std::uint64_t bits = step.has(query) ? __ldg(p.chosen + std::int64_t{first_token + query} * p.words + step.key / word_keys) : 0;
    low = static_cast<std::uint32_t>(bits);
    high = static_cast<std::uint32_t>(bits >> 32);
  }
};

template <class S>
using Sums = float[query_tiles][S::column_tiles][4];
using Scores = float[query_tiles][key_tiles][4];

// The warp's queries . the step's keys.
template <class S>
__device__ void score(const Shared<S>& s, Scores& scores) {
  const FragmentRow a_row = fragment_row(), b_row = paired_fragment_row();
  const std::uint32_t q = shared_address(s.q[threadIdx.x / 32 * warp_queries + a_row.row]), k = shared_address(s.k[b_row.row]);
#pragma unroll 4  // all would not fit into registers
  for (int chunk = 0; chunk < S::width / 8; chunk += 2) {
    std::uint32_t a[query_tiles][4];
#pragma unroll
    for (int i = 0; i < query_tiles; ++i) load_matrices(a[i], a_row.chunk(q + 16 * i * S::width * sizeof(Bf16), chunk));
#pragma unroll
    for (int j = 0; j < key_tiles; j += 2) {
      std::uint32_t b[4];
      load_matrices(b, b_row.chunk(k + 8 * j * S::width * sizeof(Bf16), chunk));
#pragma unroll
      for (int i = 0; i < query_tiles; ++i) {
        multiply_bf16(scores[i][j], a[i], b[0], b[1]);
        multiply_bf16(scores[i][j + 1], a[i], b[2], b[3]);
      }
    }
  }
}

// The softmax so far of a warp's queries 8 * i + lane / 4; sums over this thread's keys only.
struct Running {
  float most[2 * query_tiles], sum[2 * query_tiles];
};

// Scores of keys that query 8 * i + lane / 4 of the warp does not see become -inf.
template <class S>
__device__ void mask(const Shared<S>& s, const MhaStep& step, const Chosen& chosen, int i, float (&scores)[key_tiles][4]) {
  const int lane = static_cast<int>(lane_id()), in_warp = 8 * i + lane / 4, column = lane % 4 * 2, half = i % 2;
  if constexpr (S::masked) {
    const std::uint32_t low = __shfl_sync(all_lanes, chosen.low, in_warp) >> column, high = __shfl_sync(all_lanes, chosen.high, in_warp) >> column;
#pragma unroll
    for (int j = 0; j < 2 * key_tiles; ++j)
      if (!((j < key_tiles ? low : high) >> (8 * (j / 2 % 4) + j % 2) & 1)) scores[j / 2][2 * half + j % 2] = -INFINITY;
  } else {
    const int query = static_cast<int>(threadIdx.x) / 32 * warp_queries + in_warp, seen = (step.has(query) ? s.visible[query] : 0) - step.key - column;
    if (seen + column >= block_keys) return;
#pragma unroll
    for (int j = 0; j < 2 * key_tiles; ++j)
      if (8 * (j / 2) + j % 2 >= seen) scores[j / 2][2 * half + j % 2] = -INFINITY;
  }
}

// scores -> p = 2^(factor * (score - most)); o is multiplied with what the larger maximum takes from earlier steps.
template <class S>
__device__ void exponentiate(float factor, int i, float (&scores)[key_tiles][4], Running& running, float (&o)[S::column_tiles][4]) {
  const int half = i % 2;
  float most = nothing, sum = 0;
#pragma unroll
  for (int j = 0; j < key_tiles; ++j) most = fmaxf(most, fmaxf(scores[j][2 * half], scores[j][2 * half + 1]));
  most = fmaxf(running.most[i], quad_max(most));
#pragma unroll
  for (int j = 0; j < 2 * key_tiles; ++j) {
    float& x = scores[j / 2][2 * half + j % 2];
    x = power_of_two(fmaf(x, factor, -most * factor));
    sum += x;
  }
  const float shrink = power_of_two((running.most[i] - most) * factor);
#pragma unroll
  for (int c = 0; c < S::column_tiles; ++c) o[c][2 * half] *= shrink, o[c][2 * half + 1] *= shrink;
  running.sum[i] = running.sum[i] * shrink + sum;
  running.most[i] = most;
}

// o += p v. The scores of 16 keys are laid out as a first operand is.
template <class S>
__device__ void accumulate(const Shared<S>& s, const Scores& scores, Sums<S>& o) {
  const FragmentRow row = fragment_row();
  const std::uint32_t v = shared_address(s.v[row.row]);
#pragma unroll
  for (int j = 0; j < key_tiles; j += 2) {
    std::uint32_t a[query_tiles][4];
#pragma unroll
    for (int i = 0; i < 4 * query_tiles; ++i) {
      const auto& tile = scores[i / 4][j + i % 4 / 2];
      a[i / 4][i % 4] = pack_bf16(tile[i % 2 * 2], tile[i % 2 * 2 + 1]);
    }
#pragma unroll
    for (int c = 0; c < S::column_tiles; c += 2) {
      std::uint32_t b[4];
      load_matrices_transposed(b, row.chunk(v + 8 * j * S::v * sizeof(Bf16), c));
#pragma unroll
      for (int i = 0; i < query_tiles; ++i) {
        multiply_bf16(o[i][c], a[i], b[0], b[1]);
        multiply_bf16(o[i][c + 1], a[i], b[2], b[3]);
      }
    }
  }
}

template <class S>
__device__ void store(const MhaProblem& p, int first_token, int queries, int head, const Running& running, const Sums<S>& o) {
  const int lane = static_cast<int>(lane_id()), column = lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < 2 * query_tiles; ++i) {
    const float sum = quad_sum(running.sum[i]), inverse = sum > 0 ? 1 / sum : 0;
    const int query = static_cast<int>(threadIdx.x) / 32 * warp_queries + 8 * i + lane / 4;
    if (query >= queries) continue;
    Bf16* row = p.o + (std::int64_t{first_token + query} * p.heads + head) * p.o_stride;
#pragma unroll
    for (int c = 0; c < S::column_tiles; ++c)
      if (8 * c < p.v)
        *reinterpret_cast<std::uint32_t*>(row + 8 * c + column) = pack_bf16(o[i / 2][c][i % 2 * 2] * inverse, o[i / 2][c][i % 2 * 2 + 1] * inverse);
  }
}

// Grid: tiles of queries, the last and longest first, x heads. Two blocks a multiprocessor, one's softmax beside the other's products.
template <class S>
__global__ void __launch_bounds__(threads, 2) attend(const __grid_constant__ MhaProblem p) {
  extern __shared__ __align__(128) std::byte memory[];
  auto& s = *reinterpret_cast<Shared<S>*>(memory);
  const int first_token = static_cast<int>(gridDim.x - 1 - blockIdx.x) * block_queries, queries = min(block_queries, p.tokens - first_token);
  const int head = static_cast<int>(blockIdx.y);
  copy_queries(p, s, first_token, queries, head);
  for (int i = static_cast<int>(threadIdx.x); i < queries; i += threads) {
    s.sequence[i] = p.sequence[first_token + i];
    s.visible[i] = p.visible[first_token + i];
  }
  __syncthreads();

  const MhaQueries all{s.sequence, s.visible, queries};
  MhaStep step = all.after({}, block_keys);
  Sums<S> o = {};
  Running running;
#pragma unroll
  for (int i = 0; i < 2 * query_tiles; ++i) running.most[i] = nothing, running.sum[i] = 0;
  Chosen chosen;
  if (step.exists()) copy_keys(p, s, step, head);
  commit_copies();
  while (step.exists()) {
    wait_copies<0>();
    __syncthreads();  // the keys are there; nobody reads the values of the step before any more
    copy_values(p, s, step, head);
    commit_copies();
    if constexpr (S::masked) chosen.load(p, step, first_token, static_cast<int>(threadIdx.x) / 32 * warp_queries);
    Scores scores = {};
    score(s, scores);
    const MhaStep next = all.after(step, block_keys);
    __syncthreads();
    if (next.exists()) copy_keys(p, s, next, head);
    commit_copies();
#pragma unroll
    for (int i = 0; i < 2 * query_tiles; ++i) {
      mask(s, step, chosen, i, scores[i / 2]);
      exponentiate<S>(p.factor, i, scores[i / 2], running, o[i / 2]);
    }
    wait_copies<1>();
    __syncthreads();
    accumulate(s, scores, o);
    step = next;
  }
  wait_copies<0>();
  store<S>(p, first_token, queries, head, running, o);
}

// Grid: tokens x slices of a row of bits, which take shape in shared memory; indices out of their slice are left to the other blocks.
constexpr int slice_keys = 1 << 15, bit_threads = 256;
__global__ void __launch_bounds__(bit_threads) set_bits(const std::int32_t* indices, std::int64_t stride, int topk, std::uint64_t* bits, int row_words) {
  __shared__ std::uint32_t words[slice_keys / 32];
  const int tid = static_cast<int>(threadIdx.x), first = static_cast<int>(blockIdx.y) * slice_keys;
  for (int i = tid; i < slice_keys / 32; i += bit_threads) words[i] = 0;
  __syncthreads();
  const std::int32_t* row = indices + blockIdx.x * stride;
  for (int i = tid; i < topk; i += bit_threads) {
    const int key = row[i] - first;
    if (row[i] >= 0 && key >= 0 && key < slice_keys) atomicOr(words + key / 32, 1u << key % 32);
  }
  __syncthreads();
  const int first_word = first / word_keys, count = min(slice_keys / word_keys, row_words - first_word);
  std::uint64_t* to = bits + std::int64_t{blockIdx.x} * row_words + first_word;
  for (int i = tid; i < count; i += bit_threads) to[i] = std::uint64_t{words[2 * i + 1]} << 32 | words[2 * i];
}

void launch_bits(const Matrix& chosen, std::int64_t tokens, std::int64_t words, void* bits, Stream stream) {
  constexpr std::int64_t slice_words = slice_keys / word_keys;
  const dim3 grid(static_cast<unsigned>(tokens), static_cast<unsigned>((words + slice_words - 1) / slice_words));
  set_bits<<<grid, bit_threads, 0, stream>>>(static_cast<const std::int32_t*>(chosen.data), chosen.stride, static_cast<int>(chosen.columns),
                                             static_cast<std::uint64_t*>(bits), static_cast<int>(words));
  check_launch("dense_mha: bits of the chosen keys");
}

template <class S>
void launch(const MhaProblem& p, Stream stream) {
  check(cudaFuncSetAttribute(attend<S>, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared<S>)), "dense_mha");
  const dim3 grid(static_cast<unsigned>((p.tokens + block_queries - 1) / block_queries), static_cast<unsigned>(p.heads));
  attend<S><<<grid, threads, sizeof(Shared<S>), stream>>>(p);
  check_launch("dense_mha");
}
template <int width, int v>
void launch(const MhaProblem& p, Stream stream) {
  p.chosen ? launch<Shape<width, v, true>>(p, stream) : launch<Shape<width, v, false>>(p, stream);
}

// Of a row of bits: 16 bytes together.
std::int64_t words_of(std::int64_t keys) { return (keys + 2 * word_keys - 1) / (2 * word_keys) * 2; }

}  // namespace

std::int64_t mha_workspace(std::int64_t tokens, std::int64_t keys) { return tokens * words_of(keys) * static_cast<std::int64_t>(sizeof(std::uint64_t)); }

void dense_mha(const model_spec::DenseMha<std::int64_t>& op, std::int64_t tokens, float scale, const Matrix& q, const Matrix& kv, const Matrix& k_pe,
               const Context& context, const std::int32_t* first_key, const Matrix& chosen, const Workspace& workspace, const Matrix& o, Stream stream) {
  const std::int64_t width = op.nope + op.rope;
  assert(op.nope % 8 == 0 && op.rope % 8 == 0 && op.v % 8 == 0 && width <= 192 && op.v <= 128 && scale > 0);
  assert(q.stride % 8 == 0 && kv.stride % 8 == 0 && k_pe.stride % 8 == 0 && o.stride % 2 == 0 && (!op.masked || chosen.data));
  assert(!op.masked || workspace.bytes >= mha_workspace(tokens, context.max_visible));
  if (tokens == 0) return;
  const std::int64_t words = words_of(context.max_visible);
  if (op.masked) launch_bits(chosen, tokens, words, workspace.data, stream);
  const MhaProblem p{.q = static_cast<const Bf16*>(q.data),
                     .kv = static_cast<const Bf16*>(kv.data),
                     .k_pe = static_cast<const Bf16*>(k_pe.data),
                     .o = static_cast<Bf16*>(o.data),
                     .q_stride = q.stride,
                     .kv_stride = kv.stride,
                     .k_pe_stride = k_pe.stride,
                     .o_stride = o.stride,
                     .keys = kv.rows / op.heads,
                     .tokens = static_cast<int>(tokens),
                     .heads = static_cast<int>(op.heads),
                     .nope = static_cast<int>(op.nope),
                     .rope = static_cast<int>(op.rope),
                     .v = static_cast<int>(op.v),
                     .factor = scale * log2_e,
                     .sequence = context.sequence,
                     .visible = context.visible,
                     .first_key = first_key,
                     .chosen = op.masked ? static_cast<const std::uint64_t*>(workspace.data) : nullptr,
                     .words = static_cast<int>(words)};
  if (mha_fits_wgmma(p)) mha_on_wgmma(p, stream);
  else if (width <= 64 && op.v <= 64) launch<64, 64>(p, stream);
  else if (width <= 128) launch<128, 128>(p, stream);
  else launch<192, 128>(p, stream);
}

}  // namespace fathom::kernels::cuda
