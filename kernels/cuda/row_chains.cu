// Floor of each: its rows read and written once; with few tokens, a launch.
#include "kernels/cuda/row_chains.h"

#include <bit>
#include <cmath>

#include "kernels/cuda/cache.cuh"
#include "kernels/cuda/hadamard.cuh"
#include "kernels/cuda/rope.cuh"

namespace fathom::kernels::cuda {
namespace {

constexpr unsigned warps = 4;

// ---- the latent: a warp has a token

constexpr int most_held = 2;  // octets of a lane

struct LatentRows {
  float eps;
  Matrix kv, weight;
  Angles angles;
  const std::int32_t* slots;
  LatentCache cache;
  Record record;
};

template <bool wide, int held>
__device__ void norm_latent(const LatentRows& p, std::uint16_t* row, std::int64_t slot) {
  const std::int64_t width = p.cache.latent;
  const auto first = [](int i) { return std::int64_t{8} * (32 * i + lane_id()); };
  Octet v[held];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < held; ++i) {
    v[i] = load_octet<true>(row, first(i), width);
    float part = 0;
#pragma unroll
    for (const float x : v[i].v) part += x * x;
    squares += warp_sum(part);
  }
  const float factor = 1.0f / sqrtf(squares / static_cast<float>(width) + p.eps);
  const Matrix part = part_of(p.cache, p.record, slot, true);
#pragma unroll
  for (int i = 0; i < held; ++i) {
    const Octet w = load_octet<true>(row_of<const std::uint16_t>(p.weight, 0), first(i), width);
#pragma unroll
    for (int j = 0; j < 8; ++j) v[i].v[j] = w.v[j] * (v[i].v[j] * factor);
    store_octet<true>(row, first(i), width, v[i]);
    if (slot >= 0) store_quantised<wide>(part, 0, first(i), v[i]);
  }
}

template <bool wide, int held>
__global__ void __launch_bounds__(32 * warps) latent_rows(const LatentRows p) {
  const std::int64_t t = std::int64_t{blockIdx.x} * warps + threadIdx.x / 32;
  if (t >= p.kv.rows) return;
  auto* row = row_of<std::uint16_t>(p.kv, t);
  const std::int64_t slot = p.slots[t], rope = p.cache.rope;
  norm_latent<wide, held>(p, row, slot);
  row += p.cache.latent;
  for (std::int64_t first = 8 * lane_id(); first < rope; first += 256) {
    Octet v = load_octet<true>(row, first, rope);
    rotate_neighbours(v, p.angles.cosines, p.angles.sines, t * (rope / 2) + first / 2);
    store_octet<true>(row, first, rope, v);
    if (slot >= 0) store_octet<wide>(row_of<std::uint16_t>(part_of(p.cache, p.record, slot, false), 0), first, rope, v);
  }
}

// ---- index keys and queries: 8 * lanes numbers of a row in neighbouring lanes

struct IndexRows {
  Matrix x;
  std::uint32_t rope, heads, stages;  // stages: of the Hadamard transform
  float factor;                       // of it; 0: none
  Angles angles;
};

__device__ void load_angles(float (&a)[8], const float* from) {
  const auto *low = reinterpret_cast<const float4*>(from), *high = low + 1;
  const float4 x = __ldg(low), y = __ldg(high);
  a[0] = x.x, a[1] = x.y, a[2] = x.z, a[3] = x.w, a[4] = y.x, a[5] = y.y, a[6] = y.z, a[7] = y.w;
}

// RoPE of halves: an octet of the first and its partner, which another lane has.
__device__ void rotate_halves(Octet& v, const IndexRows& p, std::uint32_t token, unsigned lane, unsigned lanes) {
  const unsigned half = p.rope / 16;  // lanes of it
  const bool second = lane & half, turns = lane < 2 * half;
  float cosines[8], sines[8];
  if (turns) {
    const std::int64_t angle = std::int64_t{token} * (p.rope / 2) + 8 * (lane % half);
    load_angles(cosines, p.angles.cosines + angle);
    load_angles(sines, p.angles.sines + angle);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const float other = __shfl_xor_sync(lane_mask(lanes), v.v[i], half);
    if (!turns) continue;
    float a = second ? other : v.v[i], b = second ? v.v[i] : other;
    rotate(a, b, cosines[i], sines[i]);
    v.v[i] = second ? b : a;
  }
}

__device__ void round_octet(Octet& v) {
#pragma unroll
  for (float& x : v.v) x = round_bf16(x);
}

// To row r of y. Lanes of a row call this together.
template <bool wide>
__device__ void finish_row(Octet v, const IndexRows& p, std::uint32_t token, unsigned lane, unsigned lanes, const Matrix& y, std::int64_t r) {
  rotate_halves(v, p, token, lane, lanes);
  round_octet(v);
  if (p.factor > 0) transform_row(v, p.stages, lanes, p.factor);
  store_quantised<wide>(y, r, 8 * lane, v, min(lanes, scale_lanes));
}

template <bool wide>
__global__ void __launch_bounds__(walk_threads) query_rows(const IndexRows p, const Matrix y) {
  const auto lanes = static_cast<unsigned>(octets(p.x.columns));
  each_unit(p.x.rows, lanes, [&](std::uint32_t r, std::uint32_t lane) {
    const Octet v = load_octet<true>(row_of<const std::uint16_t>(p.x, r), 8 * lane, p.x.columns);
    finish_row<wide>(v, p, r / p.heads, lane, lanes, y, r);
  });
}

__device__ float lanes_sum(float v, unsigned lanes) {
  for (unsigned step = lanes / 2; step > 0; step /= 2) v += __shfl_xor_sync(lane_mask(lanes), v, step);
  return v;
}

__device__ float parameter(const Matrix& m, std::int64_t i) {
  return m.type == DType::bf16 ? low_bf16(static_cast<const std::uint16_t*>(m.data)[i]) : static_cast<const float*>(m.data)[i];
}

__device__ void layer_norm_row(Octet& v, const IndexKeyNorm& norm, std::int64_t first, unsigned lanes) {
  const auto width = static_cast<float>(8 * lanes);
  float sum = 0, squares = 0;
#pragma unroll
  for (const float x : v.v) sum += x;
  const float mean = lanes_sum(sum, lanes) / width;
#pragma unroll
  for (const float x : v.v) squares += (x - mean) * (x - mean);
  const float factor = 1.0f / sqrtf(lanes_sum(squares, lanes) / width + norm.eps);
#pragma unroll
  for (int i = 0; i < 8; ++i) v.v[i] = parameter(norm.weight, first + i) * ((v.v[i] - mean) * factor) + parameter(norm.bias, first + i);
}

template <bool wide>
__global__ void __launch_bounds__(walk_threads) key_rows(const IndexRows p, const IndexKeyNorm norm, const std::int32_t* slots, const IndexCache cache) {
  const auto lanes = static_cast<unsigned>(octets(p.x.columns));
  each_unit(p.x.rows, lanes, [&](std::uint32_t t, std::uint32_t lane) {
    Octet v = load_octet<true>(row_of<const std::uint16_t>(p.x, t), 8 * lane, p.x.columns);
    layer_norm_row(v, norm, 8 * lane, lanes);
    round_octet(v);
    if (slots[t] >= 0) finish_row<wide>(v, p, t, lane, lanes, key_of(cache, slots[t]), 0);
  });
}

bool power_of_two(std::int64_t n) { return n > 0 && std::has_single_bit(static_cast<std::uint64_t>(n)); }
std::uint32_t stages_of(std::int64_t width) { return static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(width)) - 1); }
float factor_of(DType type, std::int64_t width) { return type == DType::fp8_row ? 1 / std::sqrt(static_cast<float>(width)) : 0.0f; }

}  // namespace

bool suits_latent_chain(std::int64_t latent, std::int64_t rope) { return latent % 8 == 0 && latent <= 256 * most_held && rope % 8 == 0; }

void latent_chain(const model_spec::LatentCacheWrite<std::int64_t>& op, float eps, const Matrix& kv, const Matrix& weight, const Angles& angles,
                  const std::int32_t* slots, const LatentCache& cache, Stream stream) {
  assert(kv.type == DType::bf16 && kv.rows == op.tokens && kv.columns == op.latent + op.rope && weight.columns == op.latent);
  assert(op.format == cache.format && op.latent == cache.latent && op.rope == cache.rope && suits_latent_chain(op.latent, op.rope));
  assert(in_octets(kv) && in_octets(weight));
  if (op.tokens == 0) return;
  const LatentRows p{eps, kv, weight, angles, slots, cache, record_of(cache)};
  const auto blocks = static_cast<unsigned>((op.tokens + warps - 1) / warps);
  choose(in_octets(cache), [&](auto wide) {
    if (op.latent <= 256) latent_rows<wide, 1><<<blocks, 32 * warps, 0, stream>>>(p);
    else latent_rows<wide, most_held><<<blocks, 32 * warps, 0, stream>>>(p);
  });
  check_launch("latent_chain");
}

bool suits_index_chain(std::int64_t dims, std::int64_t rope) {
  return power_of_two(dims) && dims >= 16 && dims <= 256 && rope % 16 == 0 && power_of_two(rope / 16) && rope <= dims;
}

void index_key_chain(const model_spec::IndexCacheWrite<std::int64_t>& op, std::int64_t rope, const IndexKeyNorm& norm, const Matrix& k, const Angles& angles,
                     const std::int32_t* slots, const IndexCache& cache, Stream stream) {
  assert(k.type == DType::bf16 && k.rows == op.tokens && k.columns == op.dims && cache.dims == op.dims && in_octets(k) && suits_index_chain(op.dims, rope));
  if (op.tokens == 0) return;
  const IndexRows p{k, static_cast<std::uint32_t>(rope), 1, stages_of(op.dims), factor_of(cache.type, op.dims), angles};
  const bool wide = reinterpret_cast<std::uintptr_t>(cache.data) % 16 == 0;
  choose(wide, [&](auto w) { key_rows<w><<<walk_blocks(op.tokens, octets(op.dims)), walk_threads, 0, stream>>>(p, norm, slots, cache); });
  check_launch("index_key_chain");
}

void index_query_chain(const model_spec::Hadamard<std::int64_t>& op, std::int64_t rope, const Matrix& q, const Angles& angles, const Matrix& y, Stream stream) {
  assert(q.type == DType::bf16 && q.rows == op.tokens * op.heads && q.columns == op.width && y.rows == q.rows && y.columns == op.width);
  assert(in_octets(q) && in_octets(y) && suits_index_chain(op.width, rope));
  if (q.rows == 0) return;
  const IndexRows p{q, static_cast<std::uint32_t>(rope), static_cast<std::uint32_t>(op.heads), stages_of(op.width), factor_of(y.type, op.width), angles};
  query_rows<true><<<walk_blocks(q.rows, octets(op.width)), walk_threads, 0, stream>>>(p, y);
  check_launch("index_query_chain");
}

}  // namespace fathom::kernels::cuda
