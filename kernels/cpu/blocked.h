// The matrix-heavy kernels for float, made to be used: the results of the naive templates of the same names within fp32 rounding, by blocked
// loops on vector units, spread over cores. Operands keep their storage type in memory; only panels are expanded to fp32. A result depends
// neither on the number of threads nor on what other rows are computed with it.
#pragma once

#include <functional>
#include <span>

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/attention.h"
#include "model_spec/ops/batched_gemm.h"
#include "model_spec/ops/gemm.h"
#include "model_spec/ops/grouped_gemm.h"
#include "model_spec/ops/index_logits.h"

namespace fathom::kernels::cpu::blocked {

// Writes key `row`, dequantised, to `out`. Rows are sequence * (C + T) + position, as in attention.h. Called from several threads at once;
// must not throw.
using LoadRow = std::function<void(std::int64_t row, float* out)>;

// a[tokens, in], w[out, in], c[tokens, out].
void gemm(const model_spec::Gemm<std::int64_t>& op, const ConstMatrix& a, const ConstMatrix& w, Matrix& c);

// a[rows, in] sorted by expert, counts[experts] rows an expert, weights[e] the matrix [out, in] of expert e, c[rows, out].
void grouped_gemm(const model_spec::GroupedGemm<std::int64_t>& op, const ConstMatrix& a, std::span<const std::int64_t> counts,
                  std::span<const ConstMatrix> weights, Matrix& c);

// a[tokens * heads, in], weights[h] the matrix [in, out] of head h, c[tokens * heads, out].
void batched_gemm(const model_spec::BatchedGemm<std::int64_t>& op, const ConstMatrix& a, std::span<const ConstMatrix> weights, Matrix& c);

// q[tokens * heads, dims] and keys(row)[dims] with their scales applied, so that those are not in weights[tokens, heads]; logits[tokens, C + T],
// of which row i of a sequence gets C + i + 1.
void index_logits(const model_spec::IndexLogits<std::int64_t>& op, const ConstMatrix& q, const ConstMatrix& weights, const LoadRow& keys, Matrix& logits);

// q[tokens * heads, nope + rope], kv[keys * heads, nope + v], k_pe[keys, rope], o[tokens * heads, v]. If op.masked a query sees only the
// positions chosen[tokens, topk], int32, ascending, then -1; at least one that is not in its future.
void dense_mha(const model_spec::DenseMha<std::int64_t>& op, float scale, const ConstMatrix& q, const ConstMatrix& kv, const ConstMatrix& k_pe,
               const ConstMatrix* chosen, Matrix& o);

// q[tokens * heads, latent + rope], keys(row)[latent + rope], o[tokens * heads, latent].
void dense_mqa(const model_spec::DenseMqa<std::int64_t>& op, float scale, const ConstMatrix& q, const LoadRow& keys, Matrix& o);

// As dense_mqa over the positions indices[tokens, topk], int32, only; -1 stands for none. A query without keys gives zero.
void sparse_mla(const model_spec::SparseMla<std::int64_t>& op, float scale, const ConstMatrix& q, const LoadRow& keys, const ConstMatrix& indices, Matrix& o);

}  // namespace fathom::kernels::cpu::blocked
