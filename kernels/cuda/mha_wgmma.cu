// dense_mha (dense_mha.cu) at V3.2's widths on wgmma: q and k 128 + 64 wide, v 128.
//
// A block takes 128 queries of one head: two groups of four warps have 64 each, and a warp of a third group sends for 128 keys and their values a step,
// two steps ahead at most. TMA brings them, in lines of 128 bytes, swizzled as wgmma reads them. A group holds in registers 64 x 128 scores, as many sums
// and the probabilities, which are the first operand of their product with the values:
//   scores of step i + 1 = q k^T,  o += p v of step i:  handed to the tensor cores together
//   p of step i + 1 = powers of its scores:             while they are at o
// Nothing orders the groups: the powers of one come to stand beside the products of the other.
//
// A step of a group is 64 * 128 * (192 + 128) products, 1280 cycles of the tensor cores, and 64 * 128 powers, 512 cycles of the units for those. In the
// 2560 cycles of both groups 80 KiB come from the L2 cache. Measured on an H200, of the floor: 57 % with 2048 queries, 66 % with 4096 (57 % masked), 37 %
// with 4 x 1000, where tiles and steps that straddle sequences do a third more than what is counted.
#include "kernels/cuda/mha.cuh"
#include "kernels/cuda/tma.cuh"
#include "kernels/cuda/wgmma.cuh"

namespace fathom::kernels::cuda {
namespace {

constexpr int nope = 128, rope = 64, width = nope + rope, v_width = 128, line = 64;  // line: numbers of 128 bytes
constexpr int groups = 2, group_threads = 128, group_queries = 64, math_warps = 4 * groups, threads = (groups + 1) * group_threads;
constexpr int block_queries = groups * group_queries, step_keys = 128, stages = 2, line_bytes = 128;
constexpr int copy_registers = 24, math_registers = 240;  // of a thread; 168 before they part
constexpr int close_heads = 8;                            // that are taken at a time: their keys stay in the L2 cache

// Tensors of [heads][queries or keys] rows.
struct Operands {
  CUtensorMap q, kv, k_pe;
};

// Chunk c of line r stands at c ^ (r % 8).
struct alignas(1024) Shared {
  Bf16 q[width / line][block_queries][line];  // in the end o[v_width / line][block_queries][line]
  Bf16 k[stages][width / line][step_keys][line];
  Bf16 v[stages][v_width / line][step_keys][line];
  std::uint64_t q_there, k_there[stages], k_free[stages], v_there[stages], v_free[stages];
  std::int32_t sequence[block_queries], visible[block_queries];
};

// A place in a ring of stages, and the parity of the barriers there.
struct Place {
  int stage = 0;
  std::uint32_t parity = 0;
  __device__ void advance() {
    if (++stage < stages) return;
    stage = 0;
    parity ^= 1;
  }
};

// ---- the warp that copies: its first lane

struct Copier {
  const Operands& from;
  Shared& s;
  int head;
  Place k, v;

  __device__ void queries(int first) const {
    const std::uint32_t there = shared_address(&s.q_there);
    arrive_expecting(there, sizeof s.q);
    for (int c = 0; c < width / line; ++c) copy_box(shared_address(s.q[c]), from.q, there, c * line_bytes, first, head);
  }
  __device__ void keys(int first) {
    const std::uint32_t there = shared_address(&s.k_there[k.stage]);
    wait_barrier(shared_address(&s.k_free[k.stage]), k.parity ^ 1);
    arrive_expecting(there, sizeof s.k[0]);
    for (int c = 0; c < nope / line; ++c) copy_box(shared_address(s.k[k.stage][c]), from.kv, there, c * line_bytes, first, head);
    copy_box(shared_address(s.k[k.stage][nope / line]), from.k_pe, there, 0, first, 0);
    k.advance();
  }
  __device__ void values(int first) {
    const std::uint32_t there = shared_address(&s.v_there[v.stage]);
    wait_barrier(shared_address(&s.v_free[v.stage]), v.parity ^ 1);
    arrive_expecting(there, sizeof s.v[0]);
    for (int c = 0; c < v_width / line; ++c) copy_box(shared_address(s.v[v.stage][c]), from.kv, there, (nope / line + c) * line_bytes, first, head);
    v.advance();
  }
};

// Keys a step ahead of values, as they are wanted.
__device__ void copy_all(const MhaProblem& p, Copier copier, const MhaQueries& all) {
  const auto first_key = [&](const MhaStep& step) { return p.first_key[all.sequence[step.first]] + step.key; };
  MhaStep step = all.after({}, step_keys);
  if (step.exists() && lane_id() == 0) copier.keys(first_key(step));
  while (step.exists()) {
    const MhaStep next = all.after(step, step_keys);
    if (lane_id() == 0) {
      if (next.exists()) copier.keys(first_key(next));
      copier.values(first_key(step));
    }
    __syncwarp();
    step = next;
  }
}

// ---- the groups that compute. Element 4 * j + 2 * half + i of a thread's scores or sums: row lane / 4 + 8 * half of its warp's 16, column
// 8 * j + 2 * (lane % 4) + i.

using Scores = float[step_keys / 2];
using Sums = float[v_width / 2];
using Probabilities = std::uint32_t[step_keys / 16][4];

// What a thread's two queries see of a step: the first seen[half] keys, or those with a bit.
template <bool masked>
struct Sight {
  int seen[2];
  uint4 bits[2];

  __device__ void load(const MhaProblem& p, const Shared& s, const MhaStep& step, int first_token, int query) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int i = query + 8 * half;
      if constexpr (masked) {
        bits[half] = make_uint4(0, 0, 0, 0);
        if (step.has(i)) bits[half] = __ldg(reinterpret_cast<const uint4*>(p.chosen + std::int64_t{first_token + i} * p.words + step.key / word_keys));
      } else {
        seen[half] = step.has(i) ? s.visible[i] - step.key : 0;
      }
    }
  }
  // Scores of other keys become -inf, whatever they were.
  __device__ void apply(Scores& scores) const {
    const int column = static_cast<int>(lane_id()) % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if constexpr (masked) {
        const std::uint32_t words[4] = {bits[half].x >> column, bits[half].y >> column, bits[half].z >> column, bits[half].w >> column};
#pragma unroll
        for (int j = 0; j < step_keys / 4; ++j)
          if (!(words[j / 8] >> (8 * (j / 2 % 4) + j % 2) & 1)) scores[4 * (j / 2) + 2 * half + j % 2] = -INFINITY;
      } else if (seen[half] < step_keys) {
#pragma unroll
        for (int j = 0; j < step_keys / 4; ++j)
          if (8 * (j / 2) + j % 2 >= seen[half] - column) scores[4 * (j / 2) + 2 * half + j % 2] = -INFINITY;
      }
    }
  }
};

// The softmax so far of a thread's two queries; sums over this thread's keys only.
struct Running {
  float most[2] = {nothing, nothing}, sum[2] = {};
};

// scores -> 2^(factor * (score - most)); returns what the larger maximum takes from earlier steps.
__device__ float exponentiate(float factor, int half, Scores& scores, Running& running) {
  float most = running.most[half], sum = 0;
#pragma unroll
  for (int j = 0; j < step_keys / 4; ++j) most = fmaxf(most, scores[4 * (j / 2) + 2 * half + j % 2]);
  for (unsigned step = 1; step < 4; step *= 2) most = fmaxf(most, __shfl_xor_sync(all_lanes, most, step));
#pragma unroll
  for (int j = 0; j < step_keys / 4; ++j) {
    float& x = scores[4 * (j / 2) + 2 * half + j % 2];
    x = power_of_two(fmaf(x, factor, -most * factor));
    sum += x;
  }
  const float shrink = power_of_two((running.most[half] - most) * factor);
  running.sum[half] = running.sum[half] * shrink + sum;
  running.most[half] = most;
  return shrink;
}

template <bool masked>
struct Group {
  const MhaProblem& p;
  Shared& s;
  const int first_token, warp = static_cast<int>(threadIdx.x) / 32, group = warp / 4, query = 16 * warp + static_cast<int>(lane_id()) / 4;
  Scores scores;
  Probabilities probabilities;
  Sums o = {};
  Running running;
  float shrink[2];
  Sight<masked> sight;
  Place k, v;

  __device__ void meet_group() const { meet(1 + group, group_threads); }

  __device__ void start_scores() {
    const std::uint64_t q = k_major(shared_address(s.q[0][group * group_queries])), keys = k_major(shared_address(s.k[k.stage]));
    wait_barrier(shared_address(&s.k_there[k.stage]), k.parity);
    begin_products();
#pragma unroll
    for (int i = 0; i < width / 16; ++i)
      multiply_bf16<step_keys>(scores, q + i / 4 * 8 * block_queries + i % 4 * 2, keys + i / 4 * 8 * step_keys + i % 4 * 2, i > 0);
    commit_products();
  }
  __device__ void start_sums() {
    const std::uint64_t values = mn_major(shared_address(s.v[v.stage]), line_bytes * step_keys);
    wait_barrier(shared_address(&s.v_there[v.stage]), v.parity);
    begin_products();
#pragma unroll
    for (int i = 0; i < step_keys / 16; ++i) multiply_bf16<v_width, true>(o, probabilities[i], values + 128 * i, true);
    commit_products();
  }
  // Behind the last key of a step stands what is nobody's business, and 0 * NaN would be NaN: before start_sums. Both groups write the same zeros.
  __device__ void clear_values(const MhaStep& step) {
    if (step.key + step_keys <= step.keys) return;
    wait_barrier(shared_address(&s.v_there[v.stage]), v.parity);
    for (int i = static_cast<int>(threadIdx.x) % group_threads + (step.keys - step.key) * 16; i < step_keys * 16; i += group_threads)
      *reinterpret_cast<uint4*>(&s.v[v.stage][i % 16 / 8][i / 16][i % 8 * 8]) = make_uint4(0, 0, 0, 0);
    fence_shared();
    meet_group();
  }
  // The scores are there.
  __device__ void raise_powers() {
    fence_sums(scores);
    arrive_as_warp(shared_address(&s.k_free[k.stage]));
    k.advance();
    sight.apply(scores);
#pragma unroll
    for (int half = 0; half < 2; ++half) shrink[half] = exponentiate(p.factor, half, scores, running);
    fence_sums(scores);
  }
  // The sums are there.
  __device__ void shrink_sums() {
    fence_sums(o);
    arrive_as_warp(shared_address(&s.v_free[v.stage]));
    v.advance();
#pragma unroll
    for (int i = 0; i < v_width / 2; ++i) o[i] *= shrink[i / 2 % 2];
  }
  __device__ void pack_powers() {
#pragma unroll
    for (int i = 0; i < step_keys / 4; ++i) probabilities[i / 4][i % 4] = pack_bf16(scores[2 * i], scores[2 * i + 1]);
  }

  __device__ void attend(const MhaQueries& all) {
    MhaStep step = all.after({}, step_keys);
    wait_barrier(shared_address(&s.q_there), 0);
    if (!step.exists()) return;
    start_scores();
    sight.load(p, s, step, first_token, query);
    wait_products<0>();
    raise_powers();
    pack_powers();
    clear_values(step);
    step = all.after(step, step_keys);
    while (step.exists()) {
      start_scores();
      start_sums();
      sight.load(p, s, step, first_token, query);
      wait_products<1>();
      raise_powers();
      const MhaStep next = all.after(step, step_keys);  // its branches keep the compiler from waiting for o before it raises the powers
      wait_products<0>();
      shrink_sums();
      pack_powers();
      clear_values(step);
      step = next;
    }
    start_sums();
    wait_products<0>();
    fence_sums(o);
  }

  // Through the group's part of q, which nobody reads any more, so that rows leave as a whole.
  __device__ void store(int queries, int head) const {
    const int first = 16 * warp, chunk = static_cast<int>(lane_id()) % 16;
    const FragmentRow to = fragment_row();
    float inverse[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = quad_sum(running.sum[half]);
      inverse[half] = sum > 0 ? 1 / sum : 0;
    }
    meet_group();
#pragma unroll
    for (int j = 0; j < v_width / 8; j += 2) {
      std::uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) words[i] = pack_bf16(o[4 * j + 2 * i] * inverse[i % 2], o[4 * j + 2 * i + 1] * inverse[i % 2]);
      store_matrices(to.chunk(shared_address(s.q[j / 8][first + to.row]), j % 8), words);
    }
    __syncwarp();
#pragma unroll
    for (int i = first + static_cast<int>(lane_id()) / 16; i < first + 16; i += 2) {
      const auto eight = *reinterpret_cast<const uint4*>(&s.q[chunk / 8][i][(chunk % 8 ^ i % 8) * 8]);
      if (i < queries) *reinterpret_cast<uint4*>(p.o + (std::int64_t{first_token + i} * p.heads + head) * p.o_stride + 8 * chunk) = eight;
    }
  }
};

__device__ void set_up_barriers(Shared& s) {
  init_barrier(shared_address(&s.q_there), 1);
  for (int i = 0; i < stages; ++i) {
    init_barrier(shared_address(&s.k_there[i]), 1);
    init_barrier(shared_address(&s.v_there[i]), 1);
    init_barrier(shared_address(&s.k_free[i]), math_warps);
    init_barrier(shared_address(&s.v_free[i]), math_warps);
  }
  publish_barriers();
}

// Grid: a few heads x tiles of queries, the last and longest first, x all of those heads.
template <bool masked>
__global__ void __launch_bounds__(threads, 1) attend(const __grid_constant__ MhaProblem p, const __grid_constant__ Operands operands) {
  extern __shared__ __align__(1024) std::byte memory[];
  auto& s = *reinterpret_cast<Shared*>(memory);
  const int first_token = static_cast<int>(gridDim.y - 1 - blockIdx.y) * block_queries, head = static_cast<int>(blockIdx.z * gridDim.x + blockIdx.x);
  if (head >= p.heads) return;
  const MhaQueries all{s.sequence, s.visible, min(block_queries, p.tokens - first_token)};
  const Copier copier{operands, s, head};
  if (threadIdx.x == 32 * math_warps) {
    set_up_barriers(s);
    copier.queries(first_token);
  }
  if (const int i = static_cast<int>(threadIdx.x); i < all.count) {
    s.sequence[i] = p.sequence[first_token + i];
    s.visible[i] = p.visible[first_token + i];
  }
  __syncthreads();
  if (threadIdx.x >= groups * group_threads) {
    shrink_registers<copy_registers>();
    if (threadIdx.x / 32 == math_warps) copy_all(p, copier, all);
    return;
  }
  grow_registers<math_registers>();
  Group<masked> group{p, s, first_token};
  group.attend(all);
  group.store(all.count, head);
}

template <bool masked>
void launch(const MhaProblem& p, const Operands& operands, Stream stream) {
  check(cudaFuncSetAttribute(attend<masked>, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared)), "dense_mha");
  const int heads = std::min(p.heads, close_heads);
  const dim3 grid(static_cast<unsigned>(heads), static_cast<unsigned>((p.tokens + block_queries - 1) / block_queries),
                  static_cast<unsigned>((p.heads + heads - 1) / heads));
  attend<masked><<<grid, threads, sizeof(Shared), stream>>>(p, operands);
  check_launch("dense_mha");
}

// `data` has rows of `columns` of each head in turn.
CUtensorMap tensor_of_heads(const Bf16* data, std::int64_t rows, std::int64_t heads, std::int64_t columns, std::int64_t stride) {
  constexpr std::int64_t bytes = sizeof(Bf16);
  return tensor_of({.data = data, .line = bytes * columns, .rows = rows, .count = heads, .row_step = bytes * stride * heads, .step = bytes * stride},
                   step_keys);
}

}  // namespace

bool mha_fits_wgmma(const MhaProblem& p) { return p.nope == nope && p.rope == rope && p.v == v_width && p.o_stride % 8 == 0; }

void mha_on_wgmma(const MhaProblem& p, Stream stream) {
  static_assert(block_queries == step_keys, "boxes of queries and of keys are alike");
  const Operands operands{.q = tensor_of_heads(p.q, p.tokens, p.heads, width, p.q_stride),
                          .kv = tensor_of_heads(p.kv, p.keys, p.heads, nope + v_width, p.kv_stride),
                          .k_pe = tensor_of_heads(p.k_pe, p.keys, 1, rope, p.k_pe_stride)};
  p.chosen ? launch<true>(p, operands, stream) : launch<false>(p, operands, stream);
}

}  // namespace fathom::kernels::cuda
