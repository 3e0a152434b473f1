// Memory of the device, and of the host where the device reads and writes it, given back when its owner goes.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cuda/check.h"

namespace fathom::executor {

// allocate(void**, bytes) and release(void*) of the CUDA runtime.
template <auto allocate, auto release>
class CudaMemory {
 public:
  CudaMemory() = default;
  explicit CudaMemory(std::size_t bytes) { reserve(bytes); }
  CudaMemory(CudaMemory&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  CudaMemory& operator=(CudaMemory&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~CudaMemory() { release(data_); }

  // At least so many bytes. True: it grew, so it stands elsewhere, and what was there is lost.
  bool reserve(std::size_t bytes) {
    if (bytes <= bytes_) return false;
    bytes_ = 0;
    kernels::cuda::check(release(std::exchange(data_, nullptr)), "release of memory");
    kernels::cuda::check(allocate(&data_, bytes), "allocation of memory");
    bytes_ = bytes;
    return true;
  }
  [[nodiscard]] void* get() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  template <class T>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

namespace detail {
inline cudaError_t device_malloc(void** p, std::size_t bytes) { return cudaMalloc(p, bytes); }
inline cudaError_t pinned_malloc(void** p, std::size_t bytes) { return cudaMallocHost(p, bytes); }
inline cudaError_t pinned_free(void* p) { return p ? cudaFreeHost(p) : cudaSuccess; }
}  // namespace detail
using DeviceMemory = CudaMemory<detail::device_malloc, cudaFree>;
using PinnedMemory = CudaMemory<detail::pinned_malloc, detail::pinned_free>;

template <class T>
std::vector<T> download(const T* data, std::size_t count, cudaStream_t stream) {
  std::vector<T> values(count);
  kernels::cuda::check(cudaMemcpyAsync(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  kernels::cuda::check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  return values;
}

}  // namespace fathom::executor
