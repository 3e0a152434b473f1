// Whole parts of a matrix's row at once, as fp32.
#pragma once

#include <memory>

#include "kernels/cpu/matrix.h"

namespace fathom::kernels::cpu {

// Memory for [rows, columns], not set.
inline std::unique_ptr<float[]> scratch(std::int64_t rows, std::int64_t columns) {
  return std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(rows * columns));
}

// Elements first .. first + count of row r, times their scales.
void expand_row(const ConstMatrix& x, std::int64_t r, std::int64_t first, std::int64_t count, float* out);

// Sets elements first .. first + count of row r, rounded as Matrix::set does, without scales.
void store_row(Matrix& y, std::int64_t r, std::int64_t first, std::int64_t count, const float* in);

}  // namespace fathom::kernels::cpu
