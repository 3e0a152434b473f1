// Device memory of an activation.
#pragma once

#include "executor/cuda/device_memory.h"
#include "kernels/cuda/matrix.h"

namespace fathom::executor {

using kernels::cuda::DType;

class DeviceBuffer {
 public:
  // [rows, columns] of `type`, contents undefined; rows up to the next multiple of 4 are allocated, as products of fp8 want them. Memory grows, and
  // is kept for the next shape.
  void shape(DType type, std::int64_t rows, std::int64_t columns) {
    view_ = {type, rows, columns, columns};
    const auto padded = (rows + 3) / 4 * 4;
    numbers_.reserve(static_cast<std::size_t>(model_spec::element_bytes(type) * static_cast<double>(padded * columns)) + 16);
    view_.data = numbers_.get();
    if (!model_spec::has_scales(type)) return;
    view_.scale_stride = padded;
    scales_.reserve(static_cast<std::size_t>(padded * ((columns + model_spec::scale_block - 1) / model_spec::scale_block)) * sizeof(float) + 16);
    view_.scales = static_cast<float*>(scales_.get());
  }
  [[nodiscard]] const kernels::cuda::Matrix& view() const { return view_; }

 private:
  kernels::cuda::Matrix view_;
  DeviceMemory numbers_, scales_;
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
