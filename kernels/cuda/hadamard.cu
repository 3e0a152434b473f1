// y = H x / sqrt(width), H the Sylvester matrix: rounds of sums and differences (model_spec/ops/hadamard.h), in the CPU's order.
// Floor: 2 bytes read and 1 written an element. A row of 128 has 16 lanes of an octet each: three rounds within the lane, four across lanes.
#include "kernels/cuda/hadamard.h"

#include <cmath>

#include "kernels/cuda/hadamard.cuh"

namespace fathom::kernels::cuda {
namespace {

template <bool wide>
__global__ void __launch_bounds__(walk_threads) hadamard_rows(std::int64_t stages, float factor, Matrix x, Matrix y) {
  const auto lanes = static_cast<unsigned>(octets(x.columns));  // of a row: a power of two
  each_unit(x.rows, lanes, [&](std::int64_t r, std::int64_t unit) {
    Octet v = load_octet<wide>(row_of<const std::uint16_t>(x, r), 8 * unit, x.columns);
    transform_row(v, stages, lanes, factor);
    store_quantised<wide>(y, r, 8 * unit, v, min(lanes, scale_lanes));
  });
}

}  // namespace

void hadamard(const model_spec::Hadamard<std::int64_t>& op, const Matrix& x, const Matrix& y, Stream stream) {
  assert(op.width == std::int64_t{1} << op.stages && op.width <= 256);
  assert(x.type == DType::bf16 && y.type == op.output && (y.type == DType::bf16 || y.type == DType::fp8_row));
  assert(x.rows == op.tokens * op.heads && y.rows == x.rows && x.columns == op.width && y.columns == op.width);
  if (x.rows == 0) return;
  const unsigned blocks = walk_blocks(x.rows, octets(op.width));
  const float factor = 1 / std::sqrt(static_cast<float>(op.width));
  choose(in_octets(x) && in_octets(y), [&](auto wide) { hadamard_rows<wide><<<blocks, walk_threads, 0, stream>>>(op.stages, factor, x, y); });
  check_launch("hadamard");
}

}  // namespace fathom::kernels::cuda
