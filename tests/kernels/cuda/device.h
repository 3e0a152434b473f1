// Matrices in device memory, for tests of the CUDA kernels against those of the CPU.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cuda/check.h"
#include "kernels/cuda/matrix.h"
#include "tests/kernels/arrays.h"

namespace fathom::kernels::cuda {

using cpu::Array;
using I = std::int64_t;

// Skips the test where there is no device to run it on.
class OnDevice : public testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    if (const auto status = cudaGetDeviceCount(&devices); status != cudaSuccess || devices == 0)
      GTEST_SKIP() << "no CUDA device: " << cudaGetErrorString(status);
  }
};

class Memory {
 public:
  explicit Memory(std::size_t bytes) : bytes_(bytes) { check(cudaMalloc(&data_, bytes + 256), "cudaMalloc"); }
  Memory(Memory&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(o.bytes_) {}
  Memory& operator=(Memory&&) = delete;
  ~Memory() { cudaFree(data_); }
  [[nodiscard]] void* get() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  template <class T>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

template <class T>
Memory upload(const std::vector<T>& values) {
  Memory m(values.size() * sizeof(T));
  check(cudaMemcpy(m.get(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  return m;
}
template <class T>
std::vector<T> download(const void* data, std::size_t count) {
  std::vector<T> values(count);
  check(cudaDeviceSynchronize(), "kernel");
  check(cudaMemcpy(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
  return values;
}

// A matrix in device memory; rows of fp8 activations are allocated up to a multiple of 4, with NaN in what nobody wrote.
class DeviceMatrix {
 public:
  DeviceMatrix(DType type, I rows, I columns) : type_(type), rows_(rows), columns_(columns), data_(numbers_bytes()), scales_(scale_numbers() * sizeof(float)) {
    check(cudaMemset(data_.get(), 0xff, data_.bytes()), "cudaMemset");
    check(cudaMemset(scales_.get(), 0xff, scales_.bytes()), "cudaMemset");
  }
  explicit DeviceMatrix(const cpu::Matrix& m) : DeviceMatrix(m.type(), m.rows(), m.columns()) {
    std::vector<std::byte> bytes(numbers_bytes());
    const auto row = static_cast<std::size_t>(model_spec::element_bytes(type_) * static_cast<double>(columns_));
    for (I r = 0; r < rows_; ++r)
      std::memcpy(bytes.data() + static_cast<std::size_t>(r) * row,
                  m.data() + static_cast<std::size_t>(static_cast<double>(r * m.stride()) * model_spec::element_bytes(type_)), row);
    check(cudaMemcpy(data_.get(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
    std::vector<float> scales(scale_numbers(), 1.0f);
    each_scale([&](I r, I c, std::size_t i) { scales[i] = m.scale(r, c); });
    check(cudaMemcpy(scales_.get(), scales.data(), scales.size() * sizeof(float), cudaMemcpyHostToDevice), "cudaMemcpy");
  }

  [[nodiscard]] Matrix view() const {
    return {type_, rows_, columns_, columns_, data_.get(), model_spec::has_scales(type_) ? scales_.as<float>() : nullptr, scale_stride()};
  }
  // Columns first .. first + columns, without scales.
  [[nodiscard]] Matrix slice(I first, I columns) const {
    auto m = view();
    m.columns = columns;
    m.data = data_.as<std::byte>() + static_cast<I>(model_spec::element_bytes(type_)) * first;
    return m;
  }
  [[nodiscard]] Array host() const {
    Array a(type_, rows_, columns_);
    const auto bytes = download<std::byte>(data_.get(), numbers_bytes());
    std::memcpy(a.data(), bytes.data(), static_cast<std::size_t>(model_spec::element_bytes(type_) * static_cast<double>(rows_ * columns_)));
    const auto scales = download<float>(scales_.get(), scale_numbers());
    each_scale([&](I r, I c, std::size_t i) { a.set_scale(r, c, scales[i]); });
    return a;
  }

 private:
  [[nodiscard]] I padded_rows() const { return (rows_ + 3) / 4 * 4; }
  [[nodiscard]] std::size_t numbers_bytes() const {
    return static_cast<std::size_t>(model_spec::element_bytes(type_) * static_cast<double>(padded_rows() * columns_));
  }
  [[nodiscard]] I groups(I n) const { return (n + model_spec::scale_block - 1) / model_spec::scale_block; }
  [[nodiscard]] I scale_stride() const { return type_ == DType::fp8_row ? padded_rows() : (groups(columns_) + 3) / 4 * 4; }
  [[nodiscard]] std::size_t scale_numbers() const {
    return static_cast<std::size_t>(type_ == DType::fp8_row     ? scale_stride() * groups(columns_)
                                    : type_ == DType::fp8_block ? scale_stride() * groups(rows_)
                                                                : 1);
  }
  // visit(r, c, index) for the first element of each scale.
  template <class Visit>
  void each_scale(Visit visit) const {
    if (!model_spec::has_scales(type_)) return;
    for (I r = 0; r < rows_; r += type_ == DType::fp8_block ? model_spec::scale_block : 1)
      for (I c = 0; c < columns_; c += model_spec::scale_block)
        visit(r, c,
              static_cast<std::size_t>(type_ == DType::fp8_row ? c / model_spec::scale_block * scale_stride() + r
                                                               : r / model_spec::scale_block * scale_stride() + c / model_spec::scale_block));
  }

  DType type_;
  I rows_, columns_;
  Memory data_, scales_;
};

// max |a - b| / max |b| of the numbers, scales applied.
inline double relative_error(const cpu::Matrix& a, const cpu::Matrix& b) {
  double most = 0, largest = 0;
  for (I r = 0; r < b.rows(); ++r) {
    const auto x = cpu::load_row<float>(a.type(), a, r, b.columns()), y = cpu::load_row<float>(b.type(), b, r, b.columns());
    for (std::size_t c = 0; c < y.size(); ++c) {
      const double d = std::abs(double{x[c]} - double{y[c]});
      if (std::isnan(d)) return std::numeric_limits<double>::infinity();
      most = std::max(most, d);
      largest = std::max(largest, std::abs(double{y[c]}));
    }
  }
  return most / largest;
}

}  // namespace fathom::kernels::cuda
