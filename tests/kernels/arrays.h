// Matrices that own their memory, for tests.
#pragma once

#include <cmath>
#include <initializer_list>
#include <random>
#include <vector>

#include "kernels/cpu/matrix.h"

namespace fathom::kernels::cpu {

// How many scales a matrix has.
inline std::int64_t scale_count(DType type, std::int64_t rows, std::int64_t columns) {
  return model_spec::has_scales(type) && rows > 0 && columns > 0 ? scale_index(type, columns, rows - 1, columns - 1) + 1 : 0;
}

class Array : public Matrix {
 public:
  Array() = default;
  // Zeros, with all scales one.
  Array(DType type, std::int64_t rows, std::int64_t columns) : Array(type, rows, columns, Memory(type, rows, columns)) {
    if (!model_spec::has_scales(type)) return;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t c = 0; c < columns; ++c) set_scale(r, c, 1.0f);
  }
  Array(DType type, std::int64_t rows, std::int64_t columns, std::initializer_list<double> values) : Array(type, rows, columns) {
    std::int64_t i = 0;
    for (const double v : values) {
      if (type == DType::int32) set_integer(i / columns, i % columns, static_cast<std::int64_t>(v));
      else set(i / columns, i % columns, static_cast<float>(v));
      ++i;
    }
  }
  Array(Array&&) = default;
  Array& operator=(Array&&) = default;
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() = default;

 private:
  struct Memory {
    Memory() = default;
    Memory(DType type, std::int64_t rows, std::int64_t columns)
        : data(static_cast<std::size_t>(std::ceil(model_spec::element_bytes(type) * static_cast<double>(rows * columns)))),
          scales(4 * static_cast<std::size_t>(scale_count(type, rows, columns))) {}
    std::vector<std::byte> data, scales;
  };
  Array(DType type, std::int64_t rows, std::int64_t columns, Memory memory)
      : Matrix(type, rows, columns, memory.data.data(), memory.scales.data()), memory_(std::move(memory)) {}
  Memory memory_;
};

// Uniform in (-1, 1), or over the type's range where that is wider; scales in (0.5, 1). The same for the same seed.
inline Array random_array(DType type, std::int64_t rows, std::int64_t columns, unsigned seed = 1) {
  Array a(type, rows, columns);
  std::mt19937 random(seed);
  const auto uniform = [&] { return static_cast<float>(random() % 20001) / 10000.0f - 1.0f; };
  const float range = type == DType::int8 ? 127.0f : type == DType::int4_group ? 7.0f : type == DType::fp4 ? 6.0f : 1.0f;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      a.set(r, c, range * uniform());
      if (model_spec::has_scales(type)) a.set_scale(r, c, 0.75f + 0.25f * uniform());
    }
  return a;
}

// Row r without its scales.
inline std::vector<float> row_of(const Matrix& m, std::int64_t r) {
  std::vector<float> row;
  for (std::int64_t c = 0; c < m.columns(); ++c) row.push_back(m.get(r, c));
  return row;
}
inline std::vector<std::int64_t> integers_of(const Matrix& m, std::int64_t r) {
  std::vector<std::int64_t> row;
  for (std::int64_t c = 0; c < m.columns(); ++c) row.push_back(m.integer(r, c));
  return row;
}

}  // namespace fathom::kernels::cpu
