// Memory of the device, given back when its owner goes.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cuda/check.h"

namespace fathom::executor {

class DeviceMemory {
 public:
  DeviceMemory() = default;
  explicit DeviceMemory(std::size_t bytes) { reserve(bytes); }
  DeviceMemory(DeviceMemory&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  DeviceMemory& operator=(DeviceMemory&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~DeviceMemory() { cudaFree(data_); }

  // At least so many bytes; what was there before is lost if it grows.
  void reserve(std::size_t bytes) {
    if (bytes <= bytes_) return;
    kernels::cuda::check(cudaFree(std::exchange(data_, nullptr)), "cudaFree");
    bytes_ = 0;
    kernels::cuda::check(cudaMalloc(&data_, bytes), "cudaMalloc");
    bytes_ = bytes;
  }
  [[nodiscard]] void* get() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// A list that is copied to the device.
template <class T>
class DeviceList {
 public:
  void upload(std::span<const T> values, cudaStream_t stream) {
    memory_.reserve(values.size_bytes() + 16);
    kernels::cuda::check(cudaMemcpyAsync(memory_.get(), values.data(), values.size_bytes(), cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  }
  T* reserve(std::size_t count) {
    memory_.reserve(count * sizeof(T) + 16);
    return data();
  }
  [[nodiscard]] T* data() const { return static_cast<T*>(memory_.get()); }

 private:
  DeviceMemory memory_;
};

template <class T>
std::vector<T> download(const T* data, std::size_t count, cudaStream_t stream) {
  std::vector<T> values(count);
  kernels::cuda::check(cudaMemcpyAsync(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  kernels::cuda::check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  return values;
}

}  // namespace fathom::executor
