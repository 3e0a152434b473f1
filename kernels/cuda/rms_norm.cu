// v = x + r, y = w * (v / sqrt(mean(v^2) + eps)) in fp32 from the unrounded sum (model_spec/ops/rms_norm.h).
// Floor: 2 bytes read an element of x and of r, 2 written of r, and y. A block has a row and holds it in registers: nothing is read twice.
#include "kernels/cuda/rms_norm.h"

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

using Op = model_spec::RmsNorm<std::int64_t>;

// `held` octets a thread.
template <bool wide, int held>
__global__ void __launch_bounds__(1024)
    rms_norm_rows(Op op, float eps, Matrix x, Matrix residual, Matrix weight, Matrix y, Matrix kept, const std::int32_t* rows) {
  const std::int64_t t = blockIdx.x, from = rows ? rows[t] : t;
  const auto first = [&](int i) { return std::int64_t{8} * (i * blockDim.x + threadIdx.x); };
  Octet v[held], w[held];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < held; ++i) {
    v[i] = load_octet<wide>(row_of<const std::uint16_t>(x, from), first(i), op.width);
    w[i] = load_octet<wide>(row_of<const std::uint16_t>(weight, 0), first(i), op.width);  // under way while the others are summed
    if (op.residual) {
      const Octet r = load_octet<wide>(row_of<const std::uint16_t>(residual, from), first(i), op.width);
#pragma unroll
      for (int j = 0; j < 8; ++j) v[i].v[j] += r.v[j];
      if (!rows) store_octet<wide>(row_of<std::uint16_t>(residual, t), first(i), op.width, v[i]);
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) squares += v[i].v[j] * v[i].v[j];
  }
  const float factor = 1.0f / sqrtf(block_sum(squares) / static_cast<float>(op.width) + eps);
#pragma unroll
  for (int i = 0; i < held; ++i) {
#pragma unroll
    for (int j = 0; j < 8; ++j) v[i].v[j] = w[i].v[j] * (v[i].v[j] * factor);
    store_quantised<wide>(y, t, first(i), v[i]);
    if (op.keep_bf16) store_octet<wide>(row_of<std::uint16_t>(kept, t), first(i), op.width, v[i]);
  }
}

}  // namespace

void rms_norm(const Op& op, float eps, const Matrix& x, const Matrix& residual, const Matrix& weight, const Matrix& y, const Matrix& kept,
              const std::int32_t* rows, Stream stream) {
  assert(x.type == DType::bf16 && weight.type == DType::bf16 && y.type == op.output && (y.type == DType::bf16 || y.type == DType::fp8_row));
  assert(op.width > 0 && op.width <= 16384 && y.rows == op.tokens && y.columns == op.width);
  assert(!rows || y.data != x.data);
  if (op.tokens == 0) return;
  const bool wide = in_octets(x) && in_octets(weight) && in_octets(y) && (!op.residual || in_octets(residual)) && (!op.keep_bf16 || in_octets(kept));
  // Narrow rows want threads, wide ones loads in flight: 448 threads of two octets for 7168.
  const int held = op.width <= 2048 ? 1 : 2;
  const auto threads = static_cast<unsigned>((octets(op.width) + 32 * held - 1) / (32 * held) * 32);
  const auto blocks = static_cast<unsigned>(op.tokens);
  choose(wide, [&](auto w) {
    if (held == 1) rms_norm_rows<w, 1><<<blocks, threads, 0, stream>>>(op, eps, x, residual, weight, y, kept, rows);
    else rms_norm_rows<w, 2><<<blocks, threads, 0, stream>>>(op, eps, x, residual, weight, y, kept, rows);
  });
  check_launch("rms_norm");
}

}  // namespace fathom::kernels::cuda
