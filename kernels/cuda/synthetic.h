// Weights by rule (executor/synthetic.h), made where they stay.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/cuda/matrix.h"

namespace fathom::kernels::cuda {

// Equal slices of tensors that differ in their streams only. Element i of a whole tensor, row-major, is offset + factor * u(i), u(i) in [-1, 1) from
// splitmix64(base + i), every product and sum rounded to float32. rounded: then to bf16, though stored wider.
struct Synthetic {
  float offset = 0, factor = 0;
  bool rounded = false;
  std::int64_t columns = 0;                      // of the whole tensor
  std::int64_t first_row = 0, first_column = 0;  // of the slice; with blocks multiples of 128
};

// y[i] = the slice of the tensor whose stream starts at bases[i]. stored: fp32, bf16 or fp8_block; y is of this type, or of bf16 where that is fp8_block:
// then bf16(code * scale).
void synthetic(const Synthetic&, DType stored, std::span<const std::uint64_t> bases, const Stack& y, Stream);

}  // namespace fathom::kernels::cuda
