// y = w * (x - mean) / sqrt(variance + eps) + b in fp32 (model_spec/ops/layer_norm.h).
// Floor: 2 bytes read and 2 written an element. A warp has a row (the indexer's are 128 wide); its second and third reading come from L1.
#include "kernels/cuda/layer_norm.h"

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

constexpr unsigned warps = 4;

// Elements first .. first + 8 of a vector of fp32 or bf16.
template <bool wide>
__device__ Octet load_parameters(const Matrix& m, std::int64_t first) {
  if (m.type == DType::bf16) return load_octet<wide>(static_cast<const std::uint16_t*>(m.data), first, m.columns);
  Octet x{};
  for (int i = 0; i < 8; ++i)
    if (first + i < m.columns) x.v[i] = static_cast<const float*>(m.data)[first + i];
  return x;
}

template <bool wide>
__global__ void __launch_bounds__(32 * warps) layer_norm_rows(float eps, Matrix x, Matrix weight, Matrix bias, Matrix y) {
  const std::int64_t t = std::int64_t{blockIdx.x} * warps + threadIdx.x / 32, width = x.columns;
  if (t >= x.rows) return;
  const auto* row = row_of<const std::uint16_t>(x, t);
  const auto sum_over = [&](auto term) {
    float sum = 0;
    for (std::int64_t first = 8 * lane_id(); first < width; first += 256) {
      const Octet v = load_octet<wide>(row, first, width);
#pragma unroll
      for (int i = 0; i < 8; ++i)
        if (first + i < width) sum += term(v.v[i]);
    }
    return warp_sum(sum);
  };
  const float mean = sum_over([](float v) { return v; }) / static_cast<float>(width);
  const float variance = sum_over([&](float v) { return (v - mean) * (v - mean); }) / static_cast<float>(width);
  const float factor = 1.0f / sqrtf(variance + eps);
  for (std::int64_t first = 8 * lane_id(); first < width; first += 256) {
    Octet v = load_octet<wide>(row, first, width);
    const Octet w = load_parameters<wide>(weight, first), b = load_parameters<wide>(bias, first);
#pragma unroll
    for (int i = 0; i < 8; ++i) v.v[i] = w.v[i] * ((v.v[i] - mean) * factor) + b.v[i];
    store_octet<wide>(row_of<std::uint16_t>(y, t), first, width, v);
  }
}

}  // namespace

void layer_norm(const model_spec::LayerNorm<std::int64_t>& op, float eps, const Matrix& x, const Matrix& weight, const Matrix& bias, const Matrix& y,
                Stream stream) {
  assert(x.type == DType::bf16 && y.type == DType::bf16 && weight.columns == op.width && bias.columns == op.width);
  assert(x.rows == op.tokens && y.rows == op.tokens && x.columns == op.width && y.columns == op.width);
  if (op.tokens == 0) return;
  const auto blocks = static_cast<unsigned>((op.tokens + warps - 1) / warps);
  choose(in_octets(x) && in_octets(weight) && in_octets(bias) && in_octets(y),
         [&](auto wide) { layer_norm_rows<wide><<<blocks, 32 * warps, 0, stream>>>(eps, x, weight, bias, y); });
  check_launch("layer_norm");
}

}  // namespace fathom::kernels::cuda
