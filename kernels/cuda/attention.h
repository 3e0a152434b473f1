#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/attention.h"

namespace fathom::kernels::cuda {

// Workspace that dense_mha wants, if op.masked: a bit for each of `keys`, the most that a query sees (context.max_visible).
std::int64_t mha_workspace(std::int64_t tokens, std::int64_t keys);

// Expanded keys and values. q bf16[tokens * heads, nope + rope], kv bf16[keys * heads, nope + v], k_pe bf16[keys, rope] (a slice); the keys of
// sequence s stand at rows first_key[s] ...; chosen int32[tokens, topk] as top_k leaves it, if op.masked (else null data): a query sees only those;
// o bf16[tokens * heads, v]. Tensor cores, fp32 softmax. nope, rope, v multiples of 8, nope + rope at most 192, v at most 128. Fastest at 128 + 64 and
// 128 with o in rows of 16 bytes, where kv.rows / heads also bounds what is read of k_pe.
void dense_mha(const model_spec::DenseMha<std::int64_t>& op, std::int64_t tokens, float scale, const Matrix& q, const Matrix& kv, const Matrix& k_pe,
               const Context& context, const std::int32_t* first_key, const Matrix& chosen, const Workspace& workspace, const Matrix& o, Stream);

// Workspace that dense_mqa and sparse_mla want for so many queries: parts of the softmax of keys that several blocks share.
std::int64_t attention_workspace(std::int64_t tokens, std::int64_t heads, std::int64_t latent);

// Absorbed, over the whole cache. q bf16[tokens * heads, latent + rope], o bf16[tokens * heads, latent]. latent a multiple of 16 up to 512, rope of 8 up
// to 64.
void dense_mqa(const model_spec::DenseMqa<std::int64_t>& op, std::int64_t tokens, float scale, const Matrix& q, const LatentCache& cache,
               const Context& context, const Workspace& workspace, const Matrix& o, Stream);

// Absorbed, over the positions indices int32[tokens, topk] (-1: none; of a row the first visible[t] at most count); a query without keys gives zero.
// `copy` bf16[keys, latent + rope] with the keys of sequence s at rows first_key[s] ... stands in for the cache, if it has data.
void sparse_mla(const model_spec::SparseMla<std::int64_t>& op, std::int64_t tokens, float scale, const Matrix& q, const Matrix& indices,
                const LatentCache& cache, const Matrix& copy, const std::int32_t* first_key, const Context& context, const Workspace& workspace,
                const Matrix& o, Stream);

}  // namespace fathom::kernels::cuda
