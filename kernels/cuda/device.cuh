// What kernels share on the device: storage formats, 16-byte accesses, reductions in a fixed order, and walks over rows. Blocks are one-dimensional.
// Asynchronous copies and tensor cores: tensor_core.cuh.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/check.h"
#include "kernels/cuda/matrix.h"

namespace fathom::kernels::cuda {

inline constexpr std::int64_t multiprocessors = 132;  // of an H200; only numbers of blocks depend on it

template <class A, class B>
__host__ __device__ constexpr auto ceil_div(A a, B b) {
  return (a + b - 1) / b;
}

// ---- lanes

inline constexpr unsigned all_lanes = 0xffffffffu;
__device__ inline unsigned lane_id() { return threadIdx.x % 32; }
// The `lanes` neighbours, a power of two, that this lane is one of.
__device__ inline unsigned lane_mask(unsigned lanes) { return (all_lanes >> (32 - lanes)) << (lane_id() & ~(lanes - 1)); }

// Each lane gets the same bits.
__device__ inline float warp_sum(float v) {
  for (unsigned step = 16; step > 0; step /= 2) v += __shfl_xor_sync(all_lanes, v, step);
  return v;
}
__device__ inline float warp_max(float v) {
  for (unsigned step = 16; step > 0; step /= 2) v = fmaxf(v, __shfl_xor_sync(all_lanes, v, step));
  return v;
}
__device__ inline float lanes_max(float v, unsigned lanes) {
  for (unsigned step = lanes / 2; step > 0; step /= 2) v = fmaxf(v, __shfl_xor_sync(lane_mask(lanes), v, step));
  return v;
}
// Whole warps, all threads of the block. A second call in one kernel needs a barrier before it.
__device__ inline float block_sum(float v) {
  __shared__ float parts[32];
  v = warp_sum(v);
  if (lane_id() == 0) parts[threadIdx.x / 32] = v;
  __syncthreads();
  return warp_sum(lane_id() < blockDim.x / 32 ? parts[lane_id()] : 0.0f);
}

// ---- storage formats; words hold the first element lowest

__device__ inline float low_bf16(std::uint32_t word) { return __uint_as_float(word << 16); }
__device__ inline float high_bf16(std::uint32_t word) { return __uint_as_float(word & 0xffff0000u); }
__device__ inline std::uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return static_cast<std::uint32_t>(__bfloat16_as_ushort(pair.y)) << 16 | __bfloat16_as_ushort(pair.x);
}
__device__ inline float round_bf16(float x) { return __bfloat162float(__float2bfloat16_rn(x)); }

__device__ inline std::uint16_t pack_e4m3(float low, float high) { return __nv_cvt_float2_to_fp8x2(make_float2(low, high), __NV_SATFINITE, __NV_E4M3); }
// Every e4m3 number is a number of fp16.
__device__ inline float2 unpack_e4m3(std::uint16_t pair) { return __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(pair, __NV_E4M3))); }

// The UE8M0 scale of numbers up to amax: max(amax, 1e-4) / 448 (kernels/cpu/quantise.h), rounded up to a power of two on its bits.
__device__ inline float ue8m0_scale(float amax) {
  const float s = fmaxf(amax, 1e-4f) * (1 / 448.0f);
  return __uint_as_float((__float_as_uint(s) + 0x7fffffu) & 0x7f800000u);
}

// ---- eight neighbours of a row: 16 bytes of bf16

struct Octet {
  float v[8];
};

template <class T>
__device__ T* row_of(const Matrix& m, std::int64_t r) {
  return static_cast<T*>(m.data) + r * m.stride;
}

// Elements first .. first + 8 of a row of bf16; zeros beyond its columns. wide: columns % 8 == 0 and the row starts at 16 bytes.
template <bool wide>
__device__ Octet load_octet(const std::uint16_t* row, std::int64_t first, std::int64_t columns) {
  Octet x{};
  if constexpr (wide) {
    if (first >= columns) return x;
    const uint4 words = *reinterpret_cast<const uint4*>(row + first);
    const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) x.v[i] = i % 2 == 0 ? low_bf16(word[i / 2]) : high_bf16(word[i / 2]);
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (first + i < columns) x.v[i] = low_bf16(row[first + i]);
  }
  return x;
}

template <bool wide>
__device__ void store_octet(std::uint16_t* row, std::int64_t first, std::int64_t columns, const Octet& x) {
  if constexpr (wide) {
    if (first >= columns) return;
    *reinterpret_cast<uint4*>(row + first) =
        make_uint4(pack_bf16(x.v[0], x.v[1]), pack_bf16(x.v[2], x.v[3]), pack_bf16(x.v[4], x.v[5]), pack_bf16(x.v[6], x.v[7]));
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (first + i < columns) row[first + i] = static_cast<std::uint16_t>(pack_bf16(x.v[i], 0.0f));
  }
}

// The same for e4m3, 8 bytes; x is multiplied by `factor`.
template <bool wide>
__device__ void store_e4m3(std::uint8_t* row, std::int64_t first, std::int64_t columns, const Octet& x, float factor) {
  std::uint32_t pair[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) pair[i] = pack_e4m3(x.v[2 * i] * factor, x.v[2 * i + 1] * factor);
  if constexpr (wide) {
    if (first < columns) *reinterpret_cast<uint2*>(row + first) = make_uint2(pair[0] | pair[1] << 16, pair[2] | pair[3] << 16);
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (first + i < columns) row[first + i] = static_cast<std::uint8_t>(pair[i / 2] >> i % 2 * 8);
  }
}

template <bool wide>
__device__ Octet load_e4m3(const std::uint8_t* row, std::int64_t first, std::int64_t columns) {
  uint2 words{};
  if constexpr (wide) {
    if (first < columns) words = *reinterpret_cast<const uint2*>(row + first);
  } else {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (first + i < columns) (i < 4 ? words.x : words.y) |= std::uint32_t{row[first + i]} << i % 4 * 8;
  }
  const std::uint32_t pair[4] = {words.x, words.x >> 16, words.y, words.y >> 16};
  Octet x;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 two = unpack_e4m3(static_cast<std::uint16_t>(pair[i]));
    x.v[2 * i] = two.x;
    x.v[2 * i + 1] = two.y;
  }
  return x;
}

// x rounded to bf16, and the scale of the 8 * lanes numbers that `lanes` neighbours hold; they call this together.
__device__ inline float round_and_scale(Octet& x, unsigned lanes) {
  float amax = 0;
#pragma unroll
  for (float& v : x.v) {
    v = round_bf16(v);
    amax = fmaxf(amax, fabsf(v));
  }
  return ue8m0_scale(lanes_max(amax, lanes));
}

inline constexpr unsigned scale_lanes = model_spec::scale_block / 8;  // that hold the numbers of one scale

// x as elements first .. first + 8 of row r of y, bf16 or fp8_row: then all neighbours that share a scale call this together.
template <bool wide>
__device__ void store_quantised(const Matrix& y, std::int64_t r, std::int64_t first, Octet x, unsigned lanes = scale_lanes) {
  if (y.type == DType::bf16) return store_octet<wide>(row_of<std::uint16_t>(y, r), first, y.columns, x);
  const float scale = round_and_scale(x, lanes);
  store_e4m3<wide>(row_of<std::uint8_t>(y, r), first, y.columns, x, 1.0f / scale);  // exact: a power of two
  if (first % model_spec::scale_block == 0 && first < y.columns) y.scales[first / model_spec::scale_block * y.scale_stride + r] = scale;
}

// Bytes first .. first + 16, up to `count`.
template <bool wide>
__device__ void copy_16_bytes(std::uint8_t* to, const std::uint8_t* from, std::int64_t first, std::int64_t count) {
  if constexpr (wide) {
    if (first < count) *reinterpret_cast<uint4*>(to + first) = *reinterpret_cast<const uint4*>(from + first);
  } else {
    for (std::int64_t i = first; i < min(first + 16, count); ++i) to[i] = from[i];
  }
}

// ---- walks: a thread takes unit after unit of the rows, say an octet

inline constexpr unsigned walk_threads = 256;

__host__ __device__ constexpr std::int64_t octets(std::int64_t columns) { return (columns + 7) / 8; }
// Octets of a row, padded so that those of one scale stand in one half of a warp and are visited together.
__host__ __device__ constexpr std::int64_t padded_octets(std::int64_t columns) {
  return (columns + model_spec::scale_block - 1) / model_spec::scale_block * scale_lanes;
}

// visit(row, unit) for all units of all rows.
template <class Visit>
__device__ void each_unit(std::int64_t rows, std::int64_t units, Visit visit) {
  const auto all = static_cast<std::uint32_t>(rows * units), each = static_cast<std::uint32_t>(units);
  for (std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < all; i += gridDim.x * blockDim.x) visit(i / each, i % each);
}

// Blocks of walk_threads for it, at most four waves of the 8 that a multiprocessor holds (2048 threads).
inline unsigned walk_blocks(std::int64_t rows, std::int64_t units) {
  assert(rows > 0 && units > 0 && rows * units < std::int64_t{1} << 31);
  return static_cast<unsigned>(std::min<std::int64_t>(ceil_div(rows * units, walk_threads), 32 * multiprocessors));
}

// ---- launchers

// Whether rows may be read and written in octets.
inline bool in_octets(const Matrix& m) {
  const auto bytes = static_cast<std::int64_t>(model_spec::element_bytes(m.type));
  const auto aligned = std::min<std::int64_t>(8 * bytes, 16);
  return m.columns % 8 == 0 && m.stride * bytes % aligned == 0 && reinterpret_cast<std::uintptr_t>(m.data) % static_cast<std::uintptr_t>(aligned) == 0;
}

// Whether rows may be copied 16 bytes at a time.
inline bool in_16_bytes(const Matrix& m) {
  const auto bytes = static_cast<std::int64_t>(model_spec::element_bytes(m.type));
  return m.columns * bytes % 16 == 0 && m.stride * bytes % 16 == 0 && reinterpret_cast<std::uintptr_t>(m.data) % 16 == 0;
}

// launch(std::true_type()) or launch(std::false_type()).
template <class Launch>
void choose(bool value, Launch launch) {
  if (value) launch(std::true_type());
  else launch(std::false_type());
}

}  // namespace fathom::kernels::cuda
