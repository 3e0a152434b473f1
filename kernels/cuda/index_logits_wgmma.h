// The fp8 wgmma kernel behind index_logits.h, and what both kernels share.
#pragma once

#include <algorithm>

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/index_logits.h"

namespace fathom::kernels::cuda {

// Blocks that share the keys of a tile of queries: one wave of blocks, or more where each keeps enough work, up to 8, which even out the causal
// triangle. parts: of the keys; at_once: blocks that the device holds; enough: parts times queries of a block.
inline int splits_for(std::int64_t blocks, std::int64_t tile, std::int64_t parts, std::int64_t at_once, std::int64_t enough) {
  const auto waves = std::clamp<std::int64_t>(blocks * parts * tile / (at_once * enough), 1, 8);
  return static_cast<int>(std::clamp<std::int64_t>(at_once * waves / blocks, 1, std::max<std::int64_t>(parts, 1)));
}

// The sizes of DeepSeek-V3.2's indexer: 64 heads of 128 dims, e4m3 keys.
inline bool index_logits_take_wgmma(const model_spec::IndexLogits<std::int64_t>& op, const IndexCache& cache) {
  return op.heads == 64 && op.dims == 128 && cache.type == DType::fp8_row;
}
// index_logits for them.
void index_logits_wgmma(const model_spec::IndexLogits<std::int64_t>& op, std::int64_t tokens, float factor, const Matrix& q, const Matrix& w,
                        const IndexCache& cache, const Context& context, const Matrix& logits, Stream);

}  // namespace fathom::kernels::cuda
