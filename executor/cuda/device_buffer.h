// Matrices in device memory.
#pragma once

#include "executor/cuda/device_memory.h"
#include "kernels/cuda/matrix.h"

namespace fathom::executor {

using kernels::cuda::DType;

// Rows up to the next multiple of 4 have room, as products of fp8 want them. Numbers and scales start at multiples of 256, as cudaMalloc's do.
constexpr std::int64_t padded_rows(std::int64_t rows) { return (rows + 3) / 4 * 4; }
inline std::int64_t numbers_bytes(DType type, std::int64_t rows, std::int64_t columns) {
  const auto bytes = static_cast<std::int64_t>(model_spec::element_bytes(type) * static_cast<double>(padded_rows(rows) * columns));
  return (bytes + 255) / 256 * 256;
}
inline std::int64_t matrix_bytes(DType type, std::int64_t rows, std::int64_t columns) {
  const auto groups = (columns + model_spec::scale_block - 1) / model_spec::scale_block;
  return numbers_bytes(type, rows, columns) + (model_spec::has_scales(type) ? numbers_bytes(DType::fp32, rows, groups) : 0);
}
// [rows, columns] of `type` at matrix_bytes() of memory.
inline kernels::cuda::Matrix matrix_at(DType type, std::int64_t rows, std::int64_t columns, void* memory) {
  kernels::cuda::Matrix m{type, rows, columns, columns, memory};
  if (!model_spec::has_scales(type)) return m;
  m.scales = reinterpret_cast<float*>(static_cast<std::byte*>(memory) + numbers_bytes(type, rows, columns));
  m.scale_stride = padded_rows(rows);
  return m;
}

// A matrix with memory of its own, which is kept for the next shape.
class DeviceBuffer {
 public:
  // Contents undefined. True: the memory grew.
  bool shape(DType type, std::int64_t rows, std::int64_t columns) {
    const bool grew = memory_.reserve(static_cast<std::size_t>(matrix_bytes(type, rows, columns)) + 256);
    view_ = matrix_at(type, rows, columns, memory_.get());
    return grew;
  }
  [[nodiscard]] const kernels::cuda::Matrix& view() const { return view_; }

 private:
  kernels::cuda::Matrix view_;
  DeviceMemory memory_;
};

// Rows first .. first + count.
inline kernels::cuda::Matrix rows_of(kernels::cuda::Matrix m, std::int64_t first, std::int64_t count) {
  m.rows = count;
  m.data = static_cast<std::byte*>(m.data) + static_cast<std::int64_t>(model_spec::element_bytes(m.type) * static_cast<double>(first * m.stride));
  if (m.scales) m.scales += first;
  return m;
}
// Columns first .. first + columns. With scales, from 0 on.
inline kernels::cuda::Matrix columns_of(kernels::cuda::Matrix m, std::int64_t first, std::int64_t columns) {
  m.columns = columns;
  m.data = static_cast<std::byte*>(m.data) + static_cast<std::int64_t>(model_spec::element_bytes(m.type) * static_cast<double>(first));
  return m;
}
// A row for each head.
inline kernels::cuda::Matrix by_head(kernels::cuda::Matrix m, std::int64_t heads) {
  m.rows *= heads;
  m.columns /= heads;
  m.stride /= heads;
  return m;
}

}  // namespace fathom::executor
