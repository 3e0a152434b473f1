#pragma once

#include "kernels/cuda/matrix.h"
#include "model_spec/ops/permute.h"

namespace fathom::kernels::cuda {

// Which rows the experts first .. first + experts get, in device memory: those of expert e stand at offsets[e] .. offsets[e + 1], in the order of
// tokens.
struct ExpertRows {
  std::int64_t first = 0, experts = 0, capacity = 0;  // capacity: tokens * topk
  std::int32_t* offsets = nullptr;                    // [experts + 1]; offsets[experts] rows came
  std::int32_t* source = nullptr;                     // [capacity] the token of each row
  std::int32_t* row = nullptr;                        // [tokens, topk] the row of each choice, -1: another rank's
};

// ids int32[tokens, topk], rows `stride` apart -> rows. Deterministic.
void sort_by_expert(std::int64_t tokens, std::int64_t topk, const std::int32_t* ids, std::int64_t stride, const ExpertRows& rows, Stream);

// x[tokens, hidden] -> y[capacity, hidden], numbers and scales as they are, for the rows that came. op.type fp8_row or bf16.
void permute(const model_spec::Permute<std::int64_t>& op, const Matrix& x, const ExpertRows& rows, const Matrix& y, Stream);

// y[t, :] = sum over the choices of token t, in the order of their rows, of weight * x[row, :], in fp32, rounded once. x bf16[capacity, hidden],
// weights fp32[tokens, topk], rows `stride` apart; y bf16[tokens, hidden]. With `other` bf16[tokens, hidden], that is added to the rounded sum.
void unpermute(const model_spec::Unpermute<std::int64_t>& op, std::int64_t topk, const Matrix& x, const float* weights, std::int64_t stride,
               const ExpertRows& rows, const Matrix& y, Stream, const Matrix& other = {});

// y = x + other, bf16[tokens, hidden]; y may be x.
void add(const model_spec::Add<std::int64_t>& op, const Matrix& x, const Matrix& other, const Matrix& y, Stream);

}  // namespace fathom::kernels::cuda
