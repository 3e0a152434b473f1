// (a, b) -> (a cos - b sin, a sin + b cos) in place (model_spec/ops/rope.h).
// Floor: 2 bytes read and 2 written an element; the angles of a token serve all its heads from L2.
#include "kernels/cuda/rope.h"

#include "kernels/cuda/rope.cuh"

namespace fathom::kernels::cuda {
namespace {

using Op = model_spec::Rope<std::int64_t>;

// A unit is an octet: four pairs of neighbours.
template <bool wide>
__global__ void __launch_bounds__(walk_threads) rope_neighbours(Op op, Matrix x, const float* cosines, const float* sines) {
  const auto heads = static_cast<std::uint32_t>(op.heads);
  each_unit(x.rows, octets(op.dims), [&](std::uint32_t r, std::uint32_t unit) {
    auto* row = row_of<std::uint16_t>(x, r);
    Octet v = load_octet<wide>(row, 8 * unit, op.dims);
    const std::int64_t angle = r / heads * (op.dims / 2) + 4 * unit;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (wide || 8 * unit + 2 * i < op.dims) rotate(v.v[2 * i], v.v[2 * i + 1], cosines[angle + i], sines[angle + i]);
    store_octet<wide>(row, 8 * unit, op.dims, v);
  });
}

// A unit is an octet of the first half and its partner in the second.
template <bool wide>
__global__ void __launch_bounds__(walk_threads) rope_halves(Op op, Matrix x, const float* cosines, const float* sines) {
  const auto heads = static_cast<std::uint32_t>(op.heads);
  const std::int64_t half = op.dims / 2;
  each_unit(x.rows, octets(half), [&](std::uint32_t r, std::uint32_t unit) {
    auto* row = row_of<std::uint16_t>(x, r);
    Octet a = load_octet<wide>(row, 8 * unit, half), b = load_octet<wide>(row + half, 8 * unit, half);
    const std::int64_t angle = r / heads * half + 8 * unit;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (wide || 8 * unit + i < half) rotate(a.v[i], b.v[i], cosines[angle + i], sines[angle + i]);
    store_octet<wide>(row, 8 * unit, half, a);
    store_octet<wide>(row + half, 8 * unit, half, b);
  });
}

}  // namespace

void rope(const Op& op, const Matrix& x, const float* cosines, const float* sines, Stream stream) {
  assert(x.type == DType::bf16 && x.rows == op.tokens * op.heads && x.columns == op.dims && op.dims % 2 == 0);
  if (x.rows == 0) return;
  const std::int64_t units = octets(op.interleaved ? op.dims : op.dims / 2);
  const unsigned blocks = walk_blocks(x.rows, units);
  choose(in_octets(x) && (op.interleaved || op.dims % 16 == 0), [&](auto wide) {
    if (op.interleaved) rope_neighbours<wide><<<blocks, walk_threads, 0, stream>>>(op, x, cosines, sines);
    else rope_halves<wide><<<blocks, walk_threads, 0, stream>>>(op, x, cosines, sines);
  });
  check_launch("rope");
}

}  // namespace fathom::kernels::cuda
