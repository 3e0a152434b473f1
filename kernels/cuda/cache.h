#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/cache.h"

namespace fathom::kernels::cuda {

// c_kv bf16[tokens, latent], k_pe bf16[tokens, rope], both slices of one matrix; slots int32[tokens], -1: nowhere.
void latent_cache_write(const model_spec::LatentCacheWrite<std::int64_t>& op, const Matrix& c_kv, const Matrix& k_pe, const std::int32_t* slots,
                        const LatentCache& cache, Stream);
// Record slots[t], dequantised -> row t of y bf16[tokens, latent + rope]; -1: that row stays as it is.
void latent_cache_read(const model_spec::LatentCacheRead<std::int64_t>& op, const LatentCache& cache, const std::int32_t* slots, const Matrix& y, Stream);
// k fp8_row or bf16[tokens, dims], as the cache holds it.
void index_cache_write(const model_spec::IndexCacheWrite<std::int64_t>& op, const Matrix& k, const std::int32_t* slots, const IndexCache& cache, Stream);

}  // namespace fathom::kernels::cuda
