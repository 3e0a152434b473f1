// Attention in absorbed form (absorbed_attention.cu: maths and floor) at V3.2's size, latent 512 and RoPE part 64, with products of warpgroups.
//
// A block takes one query and 64 heads; its keys come 64 at a time, in pairs: those of two buffers. Warpgroup 0 computes the scores of the even 64,
// warpgroup 1 those of the odd ones; each sums p c_kv of all keys over its 256 of the 512 columns, 64 x 256 in registers. A warpgroup's own p are
// operands as they stand in its registers; those for the other go through shared memory, in place of the RoPE part of their keys, which the scores have
// used up. The largest score so far passes from one warpgroup to the other with p, so that the sums are always in step, and one's softmax runs beside
// the other's products:
//   0:  scores of even   softmax   sums of even   sums of odd      scores of even ...
//   1:  scores of odd    ...       sums of even   sums of odd      (softmax of odd beside sums of even)
// Warpgroup 2 loads records as bf16 into the buffers, half of the columns at a time, as soon as what stood there has been used up: bf16 by asynchronous
// copies, e4m3 by way of registers.
//
// Measured on an H200 (fathom bench, 128 heads): 49 to 53 % of the floor from a bf16 copy (1024 to 16384 queries), 30 to 33 % from the fp8 cache (128
// queries), where warpgroup 2 is the limit.
#include "kernels/cuda/absorbed.cuh"
#include "kernels/cuda/tma.cuh"
#include "kernels/cuda/wgmma.cuh"

namespace fathom::kernels::cuda::absorbed {
namespace {

constexpr int block_heads = 64, latent = 512, pair_keys = 2 * block_keys;
constexpr int group = 128, threads = 3 * group;  // of a warpgroup, of a block
constexpr int loading_warps = group / 32;
constexpr int tile_columns = 64, half_tiles = 4, rope_tile = 8, tiles = 9;  // a tile: 64 rows x 128 bytes, swizzled (attention.cuh)
constexpr int half_columns = half_tiles * tile_columns;
constexpr int math_registers = 200, load_registers = 104;      // a thread: 2 * 128 * 200 + 128 * 104 <= 65536
enum Meeting { everyone = 1, loading = 2, scores_known = 3 };  // barriers; scores_known + w: of warpgroup w

using Tile = std::byte[64][128];
struct alignas(1024) Shared {
  Tile q[tiles];
  Tile k[2][tiles];                                                          // of a pair; p of keys i later in k[i][rope_tile]
  std::int32_t rows[2][2][block_keys];                                       // records of the keys, -1: none; of two pairs
  float most[2][block_heads], shrink[2][block_heads], sums[2][block_heads];  // of each warpgroup's keys
  std::uint64_t full[2][2], used[2][2];  // k[i]: columns 0 .. 256 and 256 .. 512; the RoPE part belongs to the half that the other warpgroup sums
  std::uint64_t p_known[2];              // of each warpgroup's keys, with `most` and `shrink`
};
static_assert(sizeof(Shared) <= 232448);

// The same for all lanes, and the compiler knows.
__device__ int warpgroup() { return __shfl_sync(all_lanes, static_cast<int>(threadIdx.x) / group, 0); }
__device__ std::uint32_t line(const Tile& tile, int row) { return shared_address(tile[row]); }

__device__ void store16(std::uint32_t to, const uint4& v) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}
// From global memory, or zero; without a branch, and not later than they stand here.
__device__ uint4 load16_if(bool exists, const void* from) {
  uint4 v;
  asm volatile(
      "{\n.reg .pred exists;\nsetp.ne.b32 exists, %5, 0;\nmov.b32 %0, 0;\nmov.b32 %1, 0;\nmov.b32 %2, 0;\nmov.b32 %3, 0;\n"
      "@exists ld.global.nc.v4.b32 {%0, %1, %2, %3}, [%4];\n}"
      : "=&r"(v.x), "=&r"(v.y), "=&r"(v.z), "=&r"(v.w)
      : "l"(from), "r"(static_cast<int>(exists)));
  return v;
}
__device__ float load4_if(bool exists, const void* from) {
  float v;
  asm volatile("{\n.reg .pred exists;\nsetp.ne.b32 exists, %2, 0;\nmov.b32 %0, 0;\n@exists ld.global.nc.f32 %0, [%1];\n}"
               : "=&f"(v)
               : "l"(from), "r"(static_cast<int>(exists)));
  return v;
}

// What a block does: pairs of keys first .. first + pair_keys * pairs.
struct Work {
  int token, first_head, first, pairs;
  Keys keys;

  __device__ explicit Work(const Problem& p) : token(blockIdx.x / ceil_div(p.heads, block_heads)), keys(p, token) {
    first_head = static_cast<int>(blockIdx.x) % ceil_div(p.heads, block_heads) * block_heads;
    const int share = ceil_div(ceil_div(keys.count, block_keys), p.splits) * block_keys;
    first = static_cast<int>(blockIdx.y) * share;
    keys.count = min(keys.count, first + share);
    pairs = ceil_div(max(keys.count - first, 0), pair_keys);
  }
  [[nodiscard]] __device__ std::int32_t position(int pair, int key) const { return keys.position(first + pair * pair_keys + key); }
};

// ---- loading

// Half of the columns of 64 keys of a pair, in the order in which places become free. The RoPE part belongs to the second one, which the warpgroup sums
// that the scores are not of: it reads p there.
struct Part {
  int pair, keys, second;
  [[nodiscard]] __device__ constexpr int first_tile() const { return (second ^ keys) * half_tiles; }
  [[nodiscard]] __device__ const std::int32_t* rows(const Shared& s) const { return s.rows[pair % 2][keys]; }
  [[nodiscard]] __device__ std::uint32_t full(const Shared& s) const { return shared_address(&s.full[keys][second ^ keys]); }
  __device__ void wait_until_used(Shared& s) const { wait_barrier(shared_address(&s.used[keys][second ^ keys]), (pair + 1) % 2); }
};

// The sixteen keys of 64 that a warp loads.
struct Rows {
  static constexpr int count = block_keys / loading_warps;
  int first = static_cast<int>(threadIdx.x - 2 * group) / 32 * count, lane = threadIdx.x % 32;
};

// A thread looks up one key's record of each pair: positions are loaded two pairs ahead, rows one.
struct Lookup {
  const Work& work;
  int key = threadIdx.x - 2 * group;
  std::int32_t position, row;

  __device__ Lookup(const Work& w, Shared& s) : work(w), position(w.position(1, key)), row(w.keys.row(w.position(0, key))) { publish(s, 0); }
  __device__ void publish(Shared& s, int pair) {
    s.rows[pair % 2][key / block_keys][key % block_keys] = row;
    row = work.keys.row(position);
    position = work.position(pair + 2, key);
    meet(loading, group);
  }
  // The fp8 record that publish() will tell of next, into the second-level cache.
  __device__ void hurry(const Problem& p) const {
    constexpr int bytes = latent + 16 + 2 * rope_width;
    if (row < 0) return;
    for (int i = 0; i < bytes; i += 128) asm volatile("prefetch.global.L2 [%0];" ::"l"(p.records + row * p.record_bytes + i));
  }
};

// Records of bf16[512 + 64]: copies by eight lanes a key, four keys of a warp at a time.
__device__ void copy_part(const Problem& p, Shared& s, const Part& part) {
  const Rows rows;
  const int chunk = rows.lane % 8, record_bytes = static_cast<int>(p.record_bytes);
#pragma unroll
  for (int i = 0; i < rows.count; i += 4) {
    const int key = rows.first + i + rows.lane / 8;
    const std::int32_t row = part.rows(s)[key];
    const int bytes = row < 0 ? 0 : 16;
    const std::byte* from = p.records + std::int64_t{max(row, 0)} * record_bytes + 16 * chunk;
    const std::uint32_t to = swizzled(line(s.k[part.keys][0], key), key, chunk);
#pragma unroll
    for (int tile = part.first_tile(); tile < part.first_tile() + half_tiles; ++tile) copy16_async(to + tile * sizeof(Tile), from + tile * 128, bytes);
    if (part.second) copy16_async(to + rope_tile * sizeof(Tile), from + rope_tile * 128, bytes);
  }
}

__device__ void load_copies(const Problem& p, Shared& s, const Work& work) {
  Lookup lookup(work, s);
  for (int pair = 0; pair < work.pairs; ++pair) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const Part part{pair, i / 2, i % 2};
      if (i == 2) lookup.publish(s, pair + 1);  // nobody reads the rows of the pair before any more: its first 64 keys are used up
      part.wait_until_used(s);
      copy_part(p, s, part);
      arrive(part.full(s));  // for the rows, and
      arrive_after_copies(part.full(s));
    }
  }
}

// Records of e4m3[512], fp32[4], bf16[64]. Eight keys of a warp wait in registers for their place: of a key, sixteen lanes have sixteen codes each and
// eight lanes eight numbers of the RoPE part.
struct Dequantiser {
  static constexpr int keys = 8, scales_at = latent, rope_at = latent + 16;
  uint4 codes[4], rope[2];
  float scales[4];

  // first: the warp's first key, a multiple of 8
  __device__ void fetch(const Problem& p, const Shared& s, const Part& part, int first) {
    const int lane = threadIdx.x % 32, column = part.first_tile() * tile_columns + lane % 16 * 16, record_bytes = static_cast<int>(p.record_bytes);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const std::int32_t row = part.rows(s)[first + lane / 16 + 2 * i];
      const std::byte* record = p.records + std::int64_t{row} * record_bytes;
      codes[i] = load16_if(row >= 0, record + column);
      scales[i] = load4_if(row >= 0, record + scales_at + column / model_spec::scale_block * 4);
    }
    if (!part.second) return;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const std::int32_t row = part.rows(s)[first + lane / 8 + 4 * i];
      rope[i] = load16_if(row >= 0, p.records + std::int64_t{row} * record_bytes + rope_at + lane % 8 * 16);
    }
  }

  __device__ void put(Shared& s, const Part& part, int first) const {
    const int lane = threadIdx.x % 32, code_lane = lane % 16, odd = code_lane / 4 % 2;  // odd tiles begin with the second chunk: no bank twice
    std::uint32_t to = swizzled(line(s.k[part.keys][part.first_tile() + code_lane / 4], first + lane / 16), lane / 16, code_lane % 4 * 2 + odd);
    asm volatile("" : "+r"(to));  // addresses are to be computed here: there are no registers to keep those of all parts
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint4 c = odd ? uint4{codes[i].z, codes[i].w, codes[i].x, codes[i].y} : codes[i];
      store16((to ^ 2 * i << 4) + 2 * i * 128, dequantise(c.x, c.y, scales[i]));
      store16((to ^ (2 * i + 1) << 4) + 2 * i * 128, dequantise(c.z, c.w, scales[i]));
    }
    if (!part.second) return;
    std::uint32_t rope_to = swizzled(line(s.k[part.keys][rope_tile], first + lane / 8), lane / 8, lane % 8);
    asm volatile("" : "+r"(rope_to));
#pragma unroll
    for (int i = 0; i < 2; ++i) store16((rope_to ^ 4 * i << 4) + 4 * i * 128, rope[i]);
  }

 private:
  __device__ static std::uint32_t dequantise(std::uint32_t two_codes, float factor) {
    const float2 x = unpack_e4m3(static_cast<std::uint16_t>(two_codes));
    return pack_bf16(x.x * factor, x.y * factor);
  }
  __device__ static uint4 dequantise(std::uint32_t low, std::uint32_t high, float factor) {
    return {dequantise(low, factor), dequantise(low >> 16, factor), dequantise(high, factor), dequantise(high >> 16, factor)};
  }
};

// A warp has put its keys of a part. They become visible to products where those wait (score()): a fence here would wait for the loads under way.
__device__ void announce_part(const Shared& s, const Part& part) { arrive_as_warp(part.full(s)); }

// A part in two pieces, eight keys a warp each; the next two are under way.
__device__ void load_codes(const Problem& p, Shared& s, const Work& work) {
  const Rows rows;
  Lookup lookup(work, s);
  Dequantiser next[2];
  const auto part = [](int pair, int i) { return Part{pair + i / 8, i % 8 / 4, i % 4 / 2}; };
  const auto fetch = [&](int pair, int i) { next[i % 2].fetch(p, s, part(pair, i), rows.first + i % 2 * Dequantiser::keys); };
  fetch(0, 0);
  fetch(0, 1);
  for (int pair = 0; pair < work.pairs; ++pair) {
    lookup.hurry(p);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (i == 4) lookup.publish(s, pair + 1);  // nobody reads the rows of the pair before any more: its first 64 keys are used up
      if (i % 2 == 0) part(pair, i).wait_until_used(s);
      next[i % 2].put(s, part(pair, i), rows.first + i % 2 * Dequantiser::keys);
      if (i % 2 == 1) announce_part(s, part(pair, i));
      fetch(pair, i + 2);
    }
  }
}

// ---- computing

// Where a thread stands in a product's result (wgmma.cuh): rows row and row + 8, of each eight columns two from `column` on.
struct Place {
  int group_index, other = 1 - group_index;
  int lane = threadIdx.x % 32, row = threadIdx.x % group / 32 * 16 + lane / 4, column = lane % 4 * 2;
};

__device__ void copy_queries(const Problem& p, Shared& s, const Work& work) {
  constexpr int chunks = tiles * 8;
  for (int i = threadIdx.x; i < block_heads * chunks; i += 2 * group) {
    const int head = i / chunks, chunk = i % chunks;
    const bool exists = work.first_head + head < p.heads;
    const Bf16* row = p.q + (std::int64_t{work.token} * p.heads + (exists ? work.first_head + head : 0)) * p.q_stride;
    copy16_async(swizzled(line(s.q[chunk / 8], head), head, chunk % 8), row + 8 * chunk, exists ? 16 : 0);
  }
  commit_copies();
  wait_copies<0>();
  fence_shared();
  meet(everyone, 2 * group);
}

__device__ void multiply_tile(const Shared& s, int keys, int tile, float (&scores)[32], bool add) {
  const std::uint64_t q = k_major(shared_address(s.q[tile])), k = k_major(shared_address(s.k[keys][tile]));
#pragma unroll
  for (int step = 0; step < tile_columns / 16; ++step) multiply_bf16<64>(scores, q + 2 * step, k + 2 * step, add || step > 0);
}

// Sends for q . k of all heads and this warpgroup's keys.
__device__ void score(Shared& s, int keys, int parity, float (&scores)[32]) {
  fence_sums(scores);
#pragma unroll
  for (int n = 0; n < 2; ++n) {
    const int half = n ^ keys;
    wait_barrier(shared_address(&s.full[keys][half]), parity);
    fence_shared();
    begin_products();
#pragma unroll
    for (int i = 0; i < half_tiles; ++i) multiply_tile(s, keys, half * half_tiles + i, scores, n + i > 0);
  }
  multiply_tile(s, keys, rope_tile, scores, true);
  commit_products();
}

// The softmax so far of heads row and row + 8: the largest score up to this warpgroup's last keys, and sums of p over this thread's.
struct Running {
  float most[2] = {nothing, nothing}, sum[2] = {0, 0};
};

// Scores of keys that do not exist become -inf. The largest of each head so far, over the other warpgroup's keys as well.
__device__ void maximise(const Shared& s, const Place& at, int parity, float (&scores)[32], float (&most)[2]) {
#pragma unroll
  for (int i = 0; i < 32; ++i) {
    if (s.rows[parity][at.group_index][i / 4 * 8 + at.column + i % 2] < 0) scores[i] = -INFINITY;
    most[i / 2 % 2] = fmaxf(most[i / 2 % 2], scores[i]);
  }
#pragma unroll
  for (float& m : most) m = quad_max(m);
}

// p = 2^(factor * (score - most)) as operands of products over 16 keys each, and to shared memory for the other warpgroup, with what earlier sums shrink by.
__device__ void exponentiate(Shared& s, float factor, const Place& at, int parity, float (&scores)[32], Running& running, std::uint32_t (&p)[4][4],
                             float (&shrink)[2]) {
  const float before[2] = {s.most[at.other][at.row], s.most[at.other][at.row + 8]};
  float most[2] = {before[0], before[1]};
  maximise(s, at, parity, scores, most);
  Tile& tile = s.k[at.group_index][rope_tile];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = at.row + 8 * half;
    const float shift = -most[half] * factor;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const float x = power_of_two(fmaf(scores[4 * i + 2 * half], factor, shift)), y = power_of_two(fmaf(scores[4 * i + 2 * half + 1], factor, shift));
      sum += x + y;
      p[i / 2][i % 2 * 2 + half] = pack_bf16(x, y);
      *reinterpret_cast<std::uint32_t*>(tile[row] + swizzled(0, row, i) + 2 * at.column) = p[i / 2][i % 2 * 2 + half];
    }
    shrink[half] = power_of_two((before[half] - most[half]) * factor);
    running.sum[half] = running.sum[half] * power_of_two((running.most[half] - most[half]) * factor) + sum;
    running.most[half] = most[half];
    s.most[at.group_index][row] = most[half];  // by all four lanes that know it: no branch while products run
    s.shrink[at.group_index][row] = shrink[half];
  }
  fence_shared();
  arrive_as_warp(shared_address(&s.p_known[at.group_index]));  // its lane 0 arrives by a predicate, not a branch
}

__device__ void free_part(Shared& s, const Place& at, int keys) { arrive_as_warp(shared_address(&s.used[keys][at.group_index])); }

__device__ void scale(float (&o)[128], const float (&shrink)[2]) {
#pragma unroll
  for (int i = 0; i < 128; ++i) o[i] *= shrink[i / 2 % 2];
  fence_sums(o);
  begin_products();
}
__device__ std::uint64_t values(const Shared& s, const Place& at, int keys) {
  return mn_major(shared_address(s.k[keys][at.group_index * half_tiles]), sizeof(Tile));
}
// Sends for o = o * shrink + p c_kv over this warpgroup's columns and its own keys.
__device__ void accumulate_own(const Shared& s, const Place& at, const float (&shrink)[2], const std::uint32_t (&p)[4][4], float (&o)[128]) {
  const std::uint64_t v = values(s, at, at.group_index);
  scale(o, shrink);
#pragma unroll
  for (int step = 0; step < block_keys / 16; ++step) multiply_bf16<256, true>(o, p[step], v + 128 * step, true);
  commit_products();
}
// The same over the other's keys, once p is known.
__device__ void accumulate_others(const Shared& s, const Place& at, int parity, float (&o)[128]) {
  const std::uint64_t v = values(s, at, at.other), p = k_major(shared_address(s.k[at.other][rope_tile]));
  wait_barrier(shared_address(&s.p_known[at.other]), parity);
  scale(o, {s.shrink[at.other][at.row], s.shrink[at.other][at.row + 8]});
#pragma unroll
  for (int step = 0; step < block_keys / 16; ++step) multiply_bf16<256, true>(o, p + 2 * step, v + 128 * step, true);
  commit_products();
}

__device__ void even_keys(const Problem& p, Shared& s, const Place& at, int parity, Running& running, float (&o)[128]) {
  float scores[32], shrink[2];
  std::uint32_t own[4][4];
  score(s, 0, parity, scores);
  wait_products<0>();
  fence_sums(scores);
  meet(scores_known, group);
  exponentiate(s, p.factor, at, parity, scores, running, own, shrink);
  accumulate_own(s, at, shrink, own, o);
  wait_products<0>();
  fence_sums(o);
  free_part(s, at, 0);
  accumulate_others(s, at, parity, o);
  wait_products<0>();
  fence_sums(o);
  free_part(s, at, 1);
}

__device__ void odd_keys(const Problem& p, Shared& s, const Place& at, int parity, Running& running, float (&o)[128]) {
  float scores[32], shrink[2];
  std::uint32_t own[4][4];
  score(s, 1, parity, scores);
  wait_products<0>();
  fence_sums(scores);
  meet(scores_known + 1, group);
  accumulate_others(s, at, parity, o);
  exponentiate(s, p.factor, at, parity, scores, running, own, shrink);
  wait_products<0>();
  fence_sums(o);
  free_part(s, at, 0);
  accumulate_own(s, at, shrink, own, o);
  wait_products<0>();
  fence_sums(o);
  free_part(s, at, 1);
}

// Sums over all keys, as they are for the largest score of all.
__device__ void share_sums(Shared& s, float factor, const Place& at, Running& running) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = at.row + 8 * half;
    const float most = s.most[1][row], sum = quad_sum(running.sum[half] * power_of_two((running.most[half] - most) * factor));
    if (at.column == 0) s.sums[at.group_index][row] = sum;
    running.most[half] = most;
  }
  meet(everyone, 2 * group);
#pragma unroll
  for (int half = 0; half < 2; ++half) running.sum[half] = s.sums[0][at.row + 8 * half] + s.sums[1][at.row + 8 * half];
}

// o / sum, or for a query of several blocks the parts of both, which are not read without keys.
__device__ void store(const Problem& p, const Work& work, const Place& at, const Running& running, const float (&o)[128]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int head = work.first_head + at.row + 8 * half, column = at.group_index * half_columns + at.column;
    if (head >= p.heads) continue;
    const float sum = running.sum[half], inverse = sum > 0 ? 1 / sum : 0;
    const std::int64_t row = std::int64_t{work.token} * p.heads + head, part = row * p.splits + blockIdx.y;
    if (p.splits > 1 && at.group_index == 0 && at.column == 0) p.norms[part] = {running.most[half] * p.factor, sum};
    if (p.splits > 1 && work.pairs == 0) continue;
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      const float x = o[4 * i + 2 * half], y = o[4 * i + 2 * half + 1];
      if (p.splits > 1) *reinterpret_cast<float2*>(p.sums + part * latent + column + 8 * i) = {x, y};
      else *reinterpret_cast<std::uint32_t*>(p.o + row * p.o_stride + column + 8 * i) = pack_bf16(x * inverse, y * inverse);
    }
  }
}

__device__ void compute(const Problem& p, Shared& s, const Work& work) {
  const Place at{.group_index = warpgroup()};
  Running running;
  float o[128] = {};
  if (threadIdx.x < block_heads) s.most[1][threadIdx.x] = nothing;
  copy_queries(p, s, work);
  if (at.group_index == 0)
    for (int pair = 0; pair < work.pairs; ++pair) even_keys(p, s, {.group_index = 0}, pair % 2, running, o);
  else
    for (int pair = 0; pair < work.pairs; ++pair) odd_keys(p, s, {.group_index = 1}, pair % 2, running, o);
  share_sums(s, p.factor, at, running);
  store(p, work, at, running, o);
}

// A part is full when each warp has put its codes, or each thread has arrived for the rows and for its copies; used when each warp of a warpgroup is done.
template <bool fp8>
__device__ void make_barriers(Shared& s) {
  if (threadIdx.x == 0) {
    for (int i = 0; i < 4; ++i) {
      init_barrier(shared_address(&s.full[i / 2][i % 2]), fp8 ? loading_warps : 2 * group);
      init_barrier(shared_address(&s.used[i / 2][i % 2]), group / 32);
    }
    for (std::uint64_t& barrier : s.p_known) init_barrier(shared_address(&barrier), group / 32);
    publish_barriers();
  }
  __syncthreads();
}

// Grid: (token, block of heads) x split. Each split has an equal share of the keys.
template <bool fp8>
__global__ void __launch_bounds__(threads, 1) attend(const __grid_constant__ Problem p) {
  extern __shared__ __align__(1024) std::byte memory[];
  auto& s = *reinterpret_cast<Shared*>(memory);
  const Work work(p);
  make_barriers<fp8>(s);
  if (warpgroup() == 2) {
    shrink_registers<load_registers>();
    if constexpr (fp8) load_codes(p, s, work);
    else load_copies(p, s, work);
  } else {
    grow_registers<math_registers>();
    compute(p, s, work);
  }
}

template <bool fp8>
void launch(const Problem& p, std::int64_t tokens, Stream stream) {
  check(cudaFuncSetAttribute(attend<fp8>, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared)), "absorbed attention");
  const dim3 grid(static_cast<unsigned>(tokens * ceil_div(p.heads, block_heads)), static_cast<unsigned>(p.splits));
  attend<fp8><<<grid, threads, sizeof(Shared), stream>>>(p);
  check_launch("absorbed attention");
}

}  // namespace

void launch_warpgroups(const Problem& p, model_spec::CacheFormat format, std::int64_t tokens, Stream stream) {
  format == model_spec::CacheFormat::fp8 ? launch<true>(p, tokens, stream) : launch<false>(p, tokens, stream);
}

}  // namespace fathom::kernels::cuda::absorbed
