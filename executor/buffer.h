// Memory of an activation.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/cpu/matrix.h"

namespace fathom::executor {

using kernels::cpu::ConstMatrix;
using kernels::cpu::DType;
using kernels::cpu::Matrix;

class Buffer {
 public:
  // [rows, columns] of `type`, contents undefined. Memory grows, and is kept for the next shape.
  Matrix shape(DType type, std::int64_t rows, std::int64_t columns) {
    type_ = type, rows_ = rows, columns_ = columns;
    const auto bytes = static_cast<std::size_t>(rows * row_bytes());
    if (data_.size() < bytes) data_.resize(bytes);
    if (const auto scales = static_cast<std::size_t>(rows * scale_row_bytes()); scales_.size() < scales) scales_.resize(scales);
    return view();
  }
  [[nodiscard]] Matrix view() { return {type_, rows_, columns_, data_.data(), scales_.empty() ? nullptr : scales_.data()}; }
  [[nodiscard]] DType type() const { return type_; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }

  // A row as bytes: its numbers, then apart its scales.
  [[nodiscard]] std::int64_t row_bytes() const { return static_cast<std::int64_t>(model_spec::element_bytes(type_) * static_cast<double>(columns_)); }
  [[nodiscard]] std::int64_t scale_row_bytes() const {
    return model_spec::has_scales(type_) ? static_cast<std::int64_t>(model_spec::scale_bytes(type_, 1.0, static_cast<double>(columns_))) : 0;
  }
  [[nodiscard]] std::span<std::byte> numbers(std::int64_t first, std::int64_t count) { return part(data_, row_bytes(), first, count); }
  [[nodiscard]] std::span<std::byte> scales(std::int64_t first, std::int64_t count) { return part(scales_, scale_row_bytes(), first, count); }

 private:
  static std::span<std::byte> part(std::vector<std::byte>& bytes, std::int64_t row, std::int64_t first, std::int64_t count) {
    return std::span(bytes).subspan(static_cast<std::size_t>(first * row), static_cast<std::size_t>(count * row));
  }
  DType type_ = DType::fp32;
  std::int64_t rows_ = 0, columns_ = 0;
  std::vector<std::byte> data_, scales_;
};

}  // namespace fathom::executor
