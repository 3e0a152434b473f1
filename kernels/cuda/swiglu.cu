// y = a / (1 + exp(-a)) * b (model_spec/ops/swiglu.h).
// Floor: 4 bytes read and 1 or 2 written an element. At that pace a multiprocessor has about 32 instructions an element, so exp and the quotient are
// the fast ones: their error, 2^-18 for |a| up to 20, is far below bf16's 2^-9.
#include "kernels/cuda/swiglu.h"

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

template <bool wide>
__global__ void __launch_bounds__(walk_threads) swiglu_rows(Matrix x, Matrix y, const std::int32_t* rows) {
  each_unit(rows ? min(std::int64_t{*rows}, x.rows) : x.rows, padded_octets(y.columns), [&](std::int64_t r, std::int64_t unit) {
    const auto* row = row_of<const std::uint16_t>(x, r);
    Octet a = load_octet<wide>(row, 8 * unit, y.columns);
    const Octet b = load_octet<wide>(row + y.columns, 8 * unit, y.columns);
#pragma unroll
    for (int i = 0; i < 8; ++i) a.v[i] = __fdividef(a.v[i], 1.0f + __expf(-a.v[i])) * b.v[i];
    store_quantised<wide>(y, r, 8 * unit, a);
  });
}

}  // namespace

void swiglu(const model_spec::SwiGlu<std::int64_t>& op, const Matrix& x, const Matrix& y, const std::int32_t* rows, Stream stream) {
  assert(x.type == DType::bf16 && y.type == op.output && (y.type == DType::bf16 || y.type == DType::fp8_row));
  assert(x.columns == 2 * op.width && y.columns == op.width && y.rows >= x.rows);
  if (x.rows == 0) return;
  const unsigned blocks = walk_blocks(x.rows, padded_octets(op.width));
  choose(in_octets(x) && in_octets(y), [&](auto wide) { swiglu_rows<wide><<<blocks, walk_threads, 0, stream>>>(x, y, rows); });
  check_launch("swiglu");
}

}  // namespace fathom::kernels::cuda
