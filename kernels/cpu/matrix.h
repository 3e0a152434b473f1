// Operands as the kernels see them. Any type may serve that has, of
//   get(r, c), set(r, c, x)               a number as it is stored, without its scale
//   scale(r, c), set_scale(r, c, s)       the scale that covers it
//   integer(r, c), set_integer(r, c, i)   where ids and indices are stored
// those that the kernel calls. Tensors of more dimensions are matrices of their last one: x[tokens, heads, width] has rows token * heads + head.
// Operands that a record switches off may be empty.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/cpu/codec.h"
#include "kernels/cpu/scalar.h"
#include "model_spec/dtype.h"

namespace fathom::kernels::cpu {

using model_spec::DType;

// Elements of a row of `columns` that share a scale.
constexpr std::int64_t scale_group(DType type, std::int64_t columns) {
  if (type == DType::int8) return std::max<std::int64_t>(columns, 1);
  return type == DType::fp4 ? model_spec::fp4_scale_group : model_spec::scale_block;
}

// The type that scales are stored in, and where the one for (r, c) of a matrix with `columns` stands.
enum class ScaleType { fp32, bf16, e4m3 };
constexpr ScaleType scale_type(DType type) { return type == DType::int4_group ? ScaleType::bf16 : type == DType::fp4 ? ScaleType::e4m3 : ScaleType::fp32; }
constexpr std::int64_t scale_index(DType type, std::int64_t columns, std::int64_t r, std::int64_t c) {
  const std::int64_t group = scale_group(type, columns);
  const std::int64_t row = type == DType::fp8_block ? r / model_spec::scale_block : r;
  return row * ((columns + group - 1) / group) + c / group;
}
constexpr std::int64_t scale_size(DType type) {  // bytes
  const ScaleType scale = scale_type(type);
  return scale == ScaleType::fp32 ? 4 : scale == ScaleType::bf16 ? 2 : 1;
}

// A row-major [rows, columns] matrix in memory, Byte = std::byte or const std::byte. `stride` elements separate rows; numbers of four bits
// stand two in a byte, the even one low. Scales are an array of their own, row-major.
template <class Byte>
class MatrixOf {
 public:
  MatrixOf() = default;
  MatrixOf(DType type, std::int64_t rows, std::int64_t columns, Byte* data, Byte* scales = nullptr) : MatrixOf(type, rows, columns, columns, data, scales) {}
  // Columns first .. first + columns of a matrix without scales.
  [[nodiscard]] MatrixOf slice(std::int64_t first, std::int64_t columns) const {
    assert(!model_spec::has_scales(type_) && first + columns <= columns_);
    return {type_, rows_, columns, stride_, data_ + bytes(first), nullptr};
  }
  // Rows first .. first + count, with their scales. Blocks of scales are not cut, nor are bytes.
  [[nodiscard]] MatrixOf rows(std::int64_t first, std::int64_t count) const {
    assert(first >= 0 && count >= 0 && first + count <= rows_);
    assert(type_ != DType::fp8_block || first % model_spec::scale_block == 0);
    assert(model_spec::element_bytes(type_) >= 1 || first * stride_ % 2 == 0);
    MatrixOf part = *this;
    part.rows_ = count;
    part.data_ += bytes(first * stride_);
    if (model_spec::has_scales(type_)) part.scales_ += scale_index(type_, columns_, first, 0) * scale_size(type_);
    return part;
  }
  // The same elements in order as [rows, columns]; scales must keep their meaning.
  [[nodiscard]] MatrixOf reshaped(std::int64_t rows, std::int64_t columns) const {
    assert(stride_ == columns_ && rows * columns == rows_ * columns_);
    assert(!model_spec::has_scales(type_) || columns == columns_ ||
           (type_ != DType::fp8_block && type_ != DType::int8 && columns % model_spec::scale_block == 0 && columns_ % model_spec::scale_block == 0));
    MatrixOf same = *this;
    same.rows_ = rows;
    same.columns_ = same.stride_ = columns;
    return same;
  }
  operator MatrixOf<const std::byte>() const  // NOLINT: a view that only reads
      requires(!std::is_const_v<Byte>) {
    return {type_, rows_, columns_, stride_, data_, scales_};
  }

  [[nodiscard]] DType type() const { return type_; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }
  [[nodiscard]] std::int64_t stride() const { return stride_; }
  [[nodiscard]] Byte* data() const { return data_; }

  [[nodiscard]] float get(std::int64_t r, std::int64_t c) const {
    const std::int64_t i = index(r, c);
    switch (type_) {
      case DType::fp32: return read<float>(data_, i);
      case DType::bf16: return decode_bf16(read<std::uint16_t>(data_, i));
      case DType::fp8_block:
      case DType::fp8_row: return decode_e4m3(read<std::uint8_t>(data_, i));
      case DType::int8: return static_cast<float>(read<std::int8_t>(data_, i));
      case DType::int4_group: return static_cast<float>(nibble(i) >= 8 ? nibble(i) - 16 : nibble(i));
      case DType::fp4: return decode_e2m1(static_cast<std::uint8_t>(nibble(i)));
      case DType::int32: break;
    }
    assert(false && "integers are read by integer()");
    return 0;
  }
  void set(std::int64_t r, std::int64_t c, float x) {
    const std::int64_t i = index(r, c);
    switch (type_) {
      case DType::fp32: return write(data_, i, x);
      case DType::bf16: return write(data_, i, encode_bf16(x));
      case DType::fp8_block:
      case DType::fp8_row: return write(data_, i, encode_e4m3(x));
      case DType::int8: return write(data_, i, encode_integer(x, int8_largest));
      case DType::int4_group: return set_nibble(i, encode_integer(x, int4_largest) & 15);
      case DType::fp4: return set_nibble(i, encode_e2m1(x));
      case DType::int32: break;
    }
    assert(false && "integers are written by set_integer()");
  }

  [[nodiscard]] float scale(std::int64_t r, std::int64_t c) const {
    const std::int64_t i = scale_index(type_, columns_, r, c);
    switch (scale_type(type_)) {
      case ScaleType::fp32: return read<float>(scales_, i);
      case ScaleType::bf16: return decode_bf16(read<std::uint16_t>(scales_, i));
      case ScaleType::e4m3: return decode_e4m3(read<std::uint8_t>(scales_, i));
    }
    return 0;
  }
  void set_scale(std::int64_t r, std::int64_t c, float s) {
    const std::int64_t i = scale_index(type_, columns_, r, c);
    switch (scale_type(type_)) {
      case ScaleType::fp32: return write(scales_, i, s);
      case ScaleType::bf16: return write(scales_, i, encode_bf16(s));
      case ScaleType::e4m3: return write(scales_, i, encode_e4m3(s));
    }
  }

  [[nodiscard]] std::int64_t integer(std::int64_t r, std::int64_t c) const { return read<std::int32_t>(data_, index(r, c)); }
  void set_integer(std::int64_t r, std::int64_t c, std::int64_t v) { write(data_, index(r, c), static_cast<std::int32_t>(v)); }

 private:
  template <class>
  friend class MatrixOf;
  MatrixOf(DType type, std::int64_t rows, std::int64_t columns, std::int64_t stride, Byte* data, Byte* scales)
      : type_(type), rows_(rows), columns_(columns), stride_(stride), data_(data), scales_(scales) {}

  [[nodiscard]] std::int64_t bytes(std::int64_t elements) const {
    return static_cast<std::int64_t>(model_spec::element_bytes(type_) * static_cast<double>(elements));
  }
  [[nodiscard]] std::int64_t index(std::int64_t r, std::int64_t c) const {
    assert(r >= 0 && r < rows_ && c >= 0 && c < columns_);
    return r * stride_ + c;
  }
  template <class T>
  static T read(const std::byte* p, std::int64_t i) {
    T value;
    std::memcpy(&value, p + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
    return value;
  }
  template <class T>
  static void write(std::byte* p, std::int64_t i, T value) {
    std::memcpy(p + i * static_cast<std::int64_t>(sizeof(T)), &value, sizeof(T));
  }
  [[nodiscard]] int nibble(std::int64_t i) const { return (std::to_integer<int>(data_[i / 2]) >> (i % 2 * 4)) & 15; }
  void set_nibble(std::int64_t i, int code) {
    const int kept = std::to_integer<int>(data_[i / 2]) & (i % 2 ? 0x0f : 0xf0);
    data_[i / 2] = static_cast<std::byte>(kept | (code << (i % 2 * 4)));
  }

  DType type_ = DType::fp32;
  std::int64_t rows_ = 0, columns_ = 0, stride_ = 0;
  Byte* data_ = nullptr;
  Byte* scales_ = nullptr;
};
using Matrix = MatrixOf<std::byte>;
using ConstMatrix = MatrixOf<const std::byte>;

// Row r, `width` numbers of `type`, times their scales.
template <class S, class In>
std::vector<S> load_row(DType type, const In& x, std::int64_t r, std::int64_t width) {
  std::vector<S> row;
  row.reserve(static_cast<std::size_t>(width));
  const std::int64_t group = model_spec::has_scales(type) ? scale_group(type, width) : width;
  for (std::int64_t first = 0; first < width; first += group) {
    const std::int64_t last = std::min(first + group, width);
    if (!model_spec::has_scales(type)) {
      for (std::int64_t c = first; c < last; ++c) row.push_back(S(x.get(r, c)));
    } else {
      const S s(x.scale(r, first));
      for (std::int64_t c = first; c < last; ++c) row.push_back(S(x.get(r, c)) * s);
    }
  }
  return row;
}

// Row `from` of x as row `to` of y, both of `type`, as it is stored: numbers and scales.
template <class In, class Out>
void copy_row(DType type, std::int64_t width, const In& x, std::int64_t from, Out& y, std::int64_t to) {
  for (std::int64_t c = 0; c < width; ++c) y.set(to, c, x.get(from, c));
  if (!model_spec::has_scales(type)) return;
  for (std::int64_t c = 0; c < width; c += scale_group(type, width)) y.set_scale(to, c, x.scale(from, c));
}

}  // namespace fathom::kernels::cpu
