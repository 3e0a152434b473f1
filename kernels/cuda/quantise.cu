// q = x / s with s = max(amax, 1e-4) / 448 rounded up to a power of two, for each 1x128 (model_spec/ops/quantise.h).
// Floor: 2 bytes read and 1 written an element; nothing is read twice.
#include "kernels/cuda/quantise.h"

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

template <bool wide>
__global__ void __launch_bounds__(walk_threads) quantise_rows(Matrix x, Matrix y) {
  each_unit(x.rows, padded_octets(x.columns), [&](std::int64_t r, std::int64_t unit) {
    store_quantised<wide>(y, r, 8 * unit, load_octet<wide>(row_of<const std::uint16_t>(x, r), 8 * unit, x.columns));
  });
}

}  // namespace

void quantise(const model_spec::Quantise<std::int64_t>& op, const Matrix& x, const Matrix& y, Stream stream) {
  assert(x.type == DType::bf16 && y.type == op.output && (y.type == DType::bf16 || y.type == DType::fp8_row));
  assert(x.rows == op.tokens && y.rows == op.tokens && x.columns == op.width && y.columns == op.width);
  if (op.tokens == 0) return;
  const unsigned blocks = walk_blocks(op.tokens, padded_octets(op.width));
  choose(in_octets(x) && in_octets(y), [&](auto wide) { quantise_rows<wide><<<blocks, walk_threads, 0, stream>>>(x, y); });
  check_launch("quantise");
}

}  // namespace fathom::kernels::cuda
