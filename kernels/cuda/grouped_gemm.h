#pragma once

#include "kernels/cuda/matrix.h"
#include "kernels/cuda/permute.h"
#include "model_spec/ops/gemm.h"
#include "model_spec/ops/grouped_gemm.h"

namespace fathom::kernels::cuda {

constexpr std::int64_t grouped_workspace = 4;  // bytes that grouped_gemm wants

// a[capacity, in] sorted by expert, rows.offsets[experts + 1] in device memory, w stack of experts [out, in], c bf16[capacity, out], which may be a
// column slice. bf16 x bf16, or fp8_row x fp8_block. Tensor cores, fp32 sums; fp8 partial sums over each 128 of `in` times both scales. Any out, any
// count of rows; rows of a and w are multiples of 16 bytes, as is `in`. The host does not know the counts: the grid is for op.capacity, and op.rows
// and op.active (or else capacity and experts) only pick the kernel: that of grouped_gemm.cu or, from 16 rows an expert on, that of
// grouped_wgmma.cu; their results differ in the last bits. Nothing depends on rows that no expert has, and they are not written.
void grouped_gemm(const model_spec::GroupedGemm<std::int64_t>& op, const Matrix& a, const ExpertRows& rows, const Stack& w, const Matrix& c, const Workspace&,
                  Stream);

// The same for a single matrix: a[tokens, in], w[out, in], c[tokens, out] bf16 or fp32. For few tokens; several blocks share the sums along `in`.
void gemm_of_few(const model_spec::Gemm<std::int64_t>& op, const Matrix& a, const Matrix& w, const Matrix& c, Stream);

}  // namespace fathom::kernels::cuda
