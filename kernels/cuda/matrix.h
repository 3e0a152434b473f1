// Operands in device memory. No CUDA header: hosts that only pass them on need none.
#pragma once

#include <cstdint>

#include "model_spec/dtype.h"
#include "model_spec/ops/cache.h"

struct CUstream_st;

namespace fathom::kernels::cuda {

using model_spec::DType;
using Stream = CUstream_st*;

// A row-major [rows, columns] matrix; `stride` elements separate rows. Tensors of more dimensions are matrices of their last one:
// x[tokens, heads, width] has rows token * heads + head. Rows start at 16 bytes.
//   fp8_row    e4m3; the scale of (r, c) stands at scales[c / 128 * scale_stride + r]: token-contiguous, as cuBLASLt wants it
//   fp8_block  e4m3; the scale of (r, c) stands at scales[r / 128 * scale_stride + c / 128]
struct Matrix {
  DType type = DType::bf16;
  std::int64_t rows = 0, columns = 0, stride = 0;
  void* data = nullptr;
  float* scales = nullptr;
  std::int64_t scale_stride = 0;
};

// A stack of equal matrices, one for each expert or head; `step` elements apart, scales `scale_step` apart.
struct Stack {
  Matrix first;
  std::int64_t count = 0, step = 0, scale_step = 0;
};

// The caches of one layer: pages of model_spec::page_tokens records, as executor/cache.h lays them out.
struct LatentCache {
  model_spec::CacheFormat format = model_spec::CacheFormat::fp8;
  std::int64_t latent = 0, rope = 0;
  void* data = nullptr;
};
struct IndexCache {
  DType type = DType::fp8_row;  // or bf16
  std::int64_t dims = 0;
  void* data = nullptr;
};

// Where the keys of queries stand. All arrays in device memory.
struct Context {
  const std::int32_t* sequence = nullptr;  // [tokens] the sequence of each query, a row of `pages`
  const std::int32_t* visible = nullptr;   // [tokens] keys that each query sees: its position + 1
  const std::int32_t* pages = nullptr;     // [sequences, max_pages] cache pages
  std::int64_t max_pages = 0;
  std::int64_t max_visible = 0;  // no query sees more
};

// Memory that a kernel may write over.
struct Workspace {
  void* data = nullptr;
  std::int64_t bytes = 0;
};

}  // namespace fathom::kernels::cuda
