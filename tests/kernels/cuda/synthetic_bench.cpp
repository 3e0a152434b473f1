// How fast weights are made on the device: the experts' matrices of a layer, 256 of 2048x7168 in blocks, and as many numbers in bf16.
#include <cuda_runtime.h>

#include <cstdio>
#include <vector>

#include "kernels/cuda/check.h"
#include "kernels/cuda/synthetic.h"

namespace fathom::kernels::cuda {
namespace {

using I = std::int64_t;

void time(DType stored, DType type) {
  constexpr I experts = 256, rows = 2048, columns = 7168, scale_stride = columns / model_spec::scale_block,
              scale_step = rows / model_spec::scale_block * scale_stride;
  constexpr double numbers = double{experts} * rows * columns;
  void *data = nullptr, *scales = nullptr;
  check(cudaMalloc(&data, static_cast<std::size_t>(numbers * model_spec::element_bytes(type))), "cudaMalloc");
  check(cudaMalloc(&scales, experts * scale_step * sizeof(float)), "cudaMalloc");
  const Stack y{.first = {type, rows, columns, columns, data, static_cast<float*>(scales), scale_stride},
                .count = experts,
                .step = rows * columns,
                .scale_step = scale_step};
  const std::vector<std::uint64_t> bases(experts, 1);
  cudaEvent_t start = nullptr, end = nullptr;
  check(cudaEventCreate(&start), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  for (int i = 0; i < 3; ++i) {
    check(cudaEventRecord(start), "cudaEventRecord");
    synthetic({.factor = 0.02f, .columns = columns}, stored, bases, y, nullptr);
    check(cudaEventRecord(end), "cudaEventRecord");
    check(cudaEventSynchronize(end), "synthetic");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, start, end), "cudaEventElapsedTime");
    std::printf("%s as %s: %.2f ms, %.0f G numbers/s\n", name_of(stored).data(), name_of(type).data(), double{ms}, numbers / double{ms} * 1e-6);
  }
  for (const auto event : {start, end}) cudaEventDestroy(event);
  for (auto* memory : {data, scales}) cudaFree(memory);
}

}  // namespace
}  // namespace fathom::kernels::cuda

int main() {
  using namespace fathom::kernels::cuda;
  time(DType::fp8_block, DType::fp8_block);
  time(DType::fp8_block, DType::bf16);
  time(DType::bf16, DType::bf16);
}
