// k[h][r, c] = kv_b[h * (nope + v) + r, c] and v_transposed[h][c, r] = kv_b[h * (nope + v) + nope + r, c], times the scales, rounded to bf16.
// Once a layer when weights are loaded: reads are coalesced, writes of the transposed half are not.
#include "kernels/cuda/absorb.h"

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

__device__ float number(const Matrix& m, std::int64_t r, std::int64_t c) {
  if (m.type == DType::fp32) return row_of<const float>(m, r)[c];
  if (m.type == DType::bf16) return low_bf16(row_of<const std::uint16_t>(m, r)[c]);
  const float scale = m.scales[r / model_spec::scale_block * m.scale_stride + c / model_spec::scale_block];
  return __fmul_rn(unpack_e4m3(row_of<const std::uint8_t>(m, r)[c]).x, scale);
}

__global__ void __launch_bounds__(walk_threads) absorb_rows(const Matrix kv_b, const Stack k, const Stack v) {
  const std::int64_t nope = k.first.rows, each = nope + v.first.columns;
  each_unit(kv_b.rows, kv_b.columns, [&](std::int64_t row, std::int64_t c) {
    const std::int64_t head = row / each, r = row % each;
    const auto x = static_cast<std::uint16_t>(pack_bf16(number(kv_b, row, c), 0.0f));
    if (r < nope) row_of<std::uint16_t>(k.first, r)[head * k.step + c] = x;
    else row_of<std::uint16_t>(v.first, c)[head * v.step + r - nope] = x;
  });
}

}  // namespace

void absorb(const Matrix& kv_b, const Stack& k, const Stack& v, Stream stream) {
  assert(kv_b.type == DType::fp32 || kv_b.type == DType::bf16 || kv_b.type == DType::fp8_block);
  assert(k.first.type == DType::bf16 && v.first.type == DType::bf16 && k.count == v.count);
  assert(k.first.columns == kv_b.columns && v.first.rows == kv_b.columns && k.count * (k.first.rows + v.first.columns) == kv_b.rows);
  absorb_rows<<<walk_blocks(kv_b.rows, kv_b.columns), walk_threads, 0, stream>>>(kv_b, k, v);
  check_launch("absorb");
}

}  // namespace fathom::kernels::cuda
