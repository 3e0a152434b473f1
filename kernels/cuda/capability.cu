#include "kernels/cuda/capability.h"

namespace fathom::kernels::cuda {

std::span<const int> capabilities() {
  static constexpr int built_for[] = {__CUDA_ARCH_LIST__};  // by nvcc: 900 for sm_90a
  return built_for;
}

}  // namespace fathom::kernels::cuda
