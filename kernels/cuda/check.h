// A failed CUDA call as one exception that names it.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "model_spec/error.h"

namespace fathom::kernels::cuda {

inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  throw model_spec::Error(model_spec::Failure::device, std::string(what) + ": " + cudaGetErrorName(status) + ", " + cudaGetErrorString(status));
}
// After a launch.
inline void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

}  // namespace fathom::kernels::cuda
