// y[r, c] = offset + factor * u((first_row + r) * columns + first_column + c), stored as executor/synthetic.h says:
//   u(i) = (splitmix64(base + i) >> 40) * 2^-23 - 1
//   fp8_block: scale = max(amax, 1e-12) * float(1/448) of each 128x128 block, what is outside the tensor taken as 0; code = e4m3(value / scale)
// Floor: the arithmetic, about 50 instructions a number, of them two products of 64 bits. Nothing is read; a block's numbers stay in registers
// between its maximum and its codes.
#include "kernels/cuda/synthetic.h"

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

using model_spec::scale_block;

constexpr std::size_t most_bases = 256;  // experts of a layer; 2 KB of the 4 KB that a kernel's arguments may take
struct Bases {
  std::uint64_t of[most_bases];
};

// Matrix i of a stack.
__device__ Matrix matrix_of(const Stack& stack, std::int64_t i) {
  Matrix m = stack.first;
  const std::int64_t bytes = m.type == DType::fp32 ? 4 : m.type == DType::bf16 ? 2 : 1;
  m.data = static_cast<std::uint8_t*>(m.data) + i * stack.step * bytes;
  m.scales += i * stack.scale_step;
  return m;
}

// The upper 24 bits of splitmix64; its last step, z ^ z >> 31, does not reach them.
__device__ float uniform(std::uint64_t x) {
  std::uint64_t z = x + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return __fadd_rn(__fmul_rn(__uint2float_rn(static_cast<std::uint32_t>(z >> 40)), 0x1p-23f), -1.0f);
}

// Numbers first .. first + 8 of row r of the slice; zeros beyond `width`.
__device__ Octet values(const Synthetic& s, std::uint64_t base, std::int64_t r, std::int64_t first, std::int64_t width) {
  const std::uint64_t at = base + static_cast<std::uint64_t>((s.first_row + r) * s.columns + s.first_column + first);
  Octet x;
#pragma unroll
  for (int i = 0; i < 8; ++i) x.v[i] = first + i < width ? __fadd_rn(s.offset, __fmul_rn(s.factor, uniform(at + i))) : 0.0f;
  return x;
}

// Block (x, y) makes a part of matrix y.
template <bool wide>
__global__ void __launch_bounds__(walk_threads) plain(const Synthetic s, const Bases bases, const Stack stack) {
  const Matrix y = matrix_of(stack, blockIdx.y);
  each_unit(y.rows, octets(y.columns), [&](std::int64_t r, std::int64_t unit) {
    const Octet x = values(s, bases.of[blockIdx.y], r, 8 * unit, y.columns);
    if (y.type == DType::bf16) return store_octet<wide>(row_of<std::uint16_t>(y, r), 8 * unit, y.columns, x);
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (8 * unit + i < y.columns) row_of<float>(y, r)[8 * unit + i] = s.rounded ? round_bf16(x.v[i]) : x.v[i];
  });
}

constexpr int block_threads = 512, passes = scale_block * scale_lanes / block_threads;  // 16 threads a row of a block

// Of whole warps, the same bits for each thread.
__device__ float block_max(float v) {
  __shared__ float parts[block_threads / 32];
  v = warp_max(v);
  if (lane_id() == 0) parts[threadIdx.x / 32] = v;
  __syncthreads();
  return warp_max(parts[lane_id() % (block_threads / 32)]);
}

// x / scale as codes, or what the codes stand for.
template <bool wide>
__device__ void store_codes(const Matrix& y, std::int64_t r, std::int64_t c, Octet x, float scale) {
#pragma unroll
  for (float& v : x.v) v = __fdiv_rn(v, scale);
  if (y.type == DType::fp8_block) return store_e4m3<wide>(row_of<std::uint8_t>(y, r), c, y.columns, x, 1.0f);
#pragma unroll
  for (int i = 0; i < 8; i += 2) {
    const float2 two = unpack_e4m3(pack_e4m3(x.v[i], x.v[i + 1]));
    x.v[i] = __fmul_rn(two.x, scale);
    x.v[i + 1] = __fmul_rn(two.y, scale);
  }
  store_octet<wide>(row_of<std::uint16_t>(y, r), c, y.columns, x);
}

// Block (x, y) makes the 128x128 block x of matrix y; of them `across` stand side by side.
template <bool wide>
__global__ void __launch_bounds__(block_threads, 2) blocks(const Synthetic s, const Bases bases, const Stack stack, const std::uint32_t across) {
  const Matrix y = matrix_of(stack, blockIdx.y);
  const std::uint32_t down = blockIdx.x / across, right = blockIdx.x % across;
  const std::int64_t row = std::int64_t{down} * scale_block + threadIdx.x / scale_lanes, c = std::int64_t{right} * scale_block + threadIdx.x % scale_lanes * 8;
  constexpr int rows = block_threads / scale_lanes;
  Octet x[passes]{};
  float amax = 0;
#pragma unroll
  for (int p = 0; p < passes; ++p) {
    if (row + p * rows < y.rows) x[p] = values(s, bases.of[blockIdx.y], row + p * rows, c, y.columns);
#pragma unroll
    for (const float v : x[p].v) amax = fmaxf(amax, fabsf(v));
  }
  const float scale = __fmul_rn(fmaxf(block_max(amax), 1e-12f), 1.0f / 448.0f);
  if (threadIdx.x == 0 && y.type == DType::fp8_block) y.scales[down * y.scale_stride + right] = scale;
#pragma unroll
  for (int p = 0; p < passes; ++p)
    if (row + p * rows < y.rows) store_codes<wide>(y, row + p * rows, c, x[p], scale);
}

bool is_wide(const Stack& y) { return in_octets(y.first) && y.step * static_cast<std::int64_t>(model_spec::element_bytes(y.first.type)) % 16 == 0; }

void make(const Synthetic& s, DType stored, const Bases& bases, const Stack& y, Stream stream) {
  const auto count = static_cast<unsigned>(y.count);
  choose(is_wide(y), [&](auto wide) {
    if (stored == DType::fp8_block) {
      const auto across = (y.first.columns + scale_block - 1) / scale_block, down = (y.first.rows + scale_block - 1) / scale_block;
      blocks<wide><<<dim3(static_cast<unsigned>(across * down), count), block_threads, 0, stream>>>(s, bases, y, static_cast<std::uint32_t>(across));
    } else {
      plain<wide><<<dim3(walk_blocks(y.first.rows, octets(y.first.columns)), count), walk_threads, 0, stream>>>(s, bases, y);
    }
  });
  check_launch("synthetic");
}

}  // namespace

void synthetic(const Synthetic& s, DType stored, std::span<const std::uint64_t> bases, const Stack& y, Stream stream) {
  assert(stored == DType::fp32 || stored == DType::bf16 || stored == DType::fp8_block);
  assert(y.first.type == stored || (stored == DType::fp8_block && y.first.type == DType::bf16));
  assert(stored != DType::fp8_block || (s.first_row % scale_block == 0 && s.first_column % scale_block == 0));
  assert(std::ssize(bases) == y.count && y.first.rows > 0 && y.first.columns > 0);
  for (std::size_t first = 0; first < bases.size(); first += most_bases) {
    const auto some = bases.subspan(first, std::min(most_bases, bases.size() - first));
    Bases list{};
    std::ranges::copy(some, list.of);
    Stack part = y;
    const auto offset = static_cast<std::int64_t>(first);
    part.count = std::ssize(some);
    part.first.data = static_cast<std::byte*>(y.first.data) + offset * y.step * static_cast<std::int64_t>(model_spec::element_bytes(y.first.type));
    if (y.first.scales) part.first.scales += offset * y.scale_step;
    make(s, stored, list, part, stream);
  }
}

}  // namespace fathom::kernels::cuda
