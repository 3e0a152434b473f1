// Operators that follow each other on the same rows, as one kernel: the numbers stay in registers in between, rounded to bf16 where the separate
// kernels would write them.
#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/cache.h"
#include "model_spec/ops/hadamard.h"
#include "model_spec/ops/layer_norm.h"
#include "model_spec/ops/rms_norm.h"
#include "model_spec/ops/rope.h"

namespace fathom::kernels::cuda {

// cos and sin of the tokens' angles, fp32[tokens, rope / 2].
struct Angles {
  const float *cosines = nullptr, *sines = nullptr;
};

// Whether the sizes suit: whole octets, and 512 numbers of the latent at most.
bool suits_latent_chain(std::int64_t latent, std::int64_t rope);
// kv bf16[tokens, latent + rope] in place: RMSNorm of the latent, RoPE of neighbours of the rest; then the record to its slot (-1: nowhere).
void latent_chain(const model_spec::LatentCacheWrite<std::int64_t>& op, float eps, const Matrix& kv, const Matrix& weight, const Angles& angles,
                  const std::int32_t* slots, const LatentCache& cache, Stream);

// Whether the sizes suit: dims a power of two from 16 to 256, halves of rope in whole octets that are a power of two.
bool suits_index_chain(std::int64_t dims, std::int64_t rope);
// k bf16[tokens, dims]: LayerNorm, RoPE of halves on the first columns, then as the cache holds it: Hadamard and fp8, or bf16.
struct IndexKeyNorm {
  float eps;
  Matrix weight, bias;  // fp32 or bf16[dims]
};
void index_key_chain(const model_spec::IndexCacheWrite<std::int64_t>& op, std::int64_t rope, const IndexKeyNorm& norm, const Matrix& k, const Angles& angles,
                     const std::int32_t* slots, const IndexCache& cache, Stream);
// q bf16[tokens * heads, dims] -> y of the same shape: RoPE of halves on the first columns, then Hadamard and fp8 (a scale a row), or bf16.
void index_query_chain(const model_spec::Hadamard<std::int64_t>& op, std::int64_t rope, const Matrix& q, const Angles& angles, const Matrix& y, Stream);

}  // namespace fathom::kernels::cuda
