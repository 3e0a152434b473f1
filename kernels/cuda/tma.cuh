// Barriers in shared memory and tensor copies (TMA) of sm_90: PTX as functions, and the descriptors that the host makes.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "kernels/cuda/check.h"

namespace fathom::kernels::cuda {

// A barrier's phase ends when `arrivals` have arrived and all bytes that they expect are there.
__device__ inline void init_barrier(std::uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
// After all init_barrier, before the __syncthreads that lets others use them.
__device__ inline void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ inline void arrive(std::uint32_t barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory"); }
// One arrival for a warp, once all its lanes are here: an arrival tells only of what its own thread did before, and of what that one knew to be done.
__device__ inline void arrive_as_warp(std::uint32_t barrier) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) arrive(barrier);
}
__device__ inline void arrive_expecting(std::uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
// Once this thread's cp.async so far are done; one of the arrivals that the barrier counts.
__device__ inline void arrive_after_copies(std::uint32_t barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

// Until the phase of this parity has ended; that of the phase before the first is 1.
__device__ inline void wait_barrier(std::uint32_t barrier, std::uint32_t parity) {
  asm volatile("{\n.reg .pred done;\nwaiting:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@!done bra waiting;\n}" ::"r"(barrier), "r"(parity)
               : "memory");
}

// A box of the tensor at (x, y, z), fastest dimension first, to shared memory; what lies outside the tensor becomes zero. Its bytes arrive at `barrier`.
__device__ inline void copy_box(std::uint32_t to, const CUtensorMap& tensor, std::uint32_t barrier, int x, int y, int z) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(to), "l"(&tensor), "r"(x),
               "r"(y), "r"(z), "r"(barrier)
               : "memory");
}

// A stack of `count` matrices [rows, line] of bytes; rows and matrices a multiple of 16 bytes apart, as is the line.
struct ByteStack {
  const void* data = nullptr;
  std::int64_t line = 0, rows = 0, count = 1;
  std::int64_t row_step = 0, step = 0;
};

// Boxes of [box_rows, 128] bytes, swizzled as wgmma.cuh has it. The driver's function is asked for at run time: programs start without a driver.
inline CUtensorMap tensor_of(const ByteStack& s, int box_rows) {
  static const auto encode = [] {
    void* function = nullptr;
    check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, nullptr), "cuTensorMapEncodeTiled");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  const cuuint64_t sizes[3] = {static_cast<cuuint64_t>(s.line), static_cast<cuuint64_t>(s.rows), static_cast<cuuint64_t>(s.count)};
  const cuuint64_t steps[2] = {static_cast<cuuint64_t>(s.row_step), static_cast<cuuint64_t>(s.count > 1 ? s.step : s.rows * s.row_step)};
  const cuuint32_t box[3] = {128, static_cast<cuuint32_t>(box_rows), 1}, every[3] = {1, 1, 1};
  CUtensorMap tensor{};
  const CUresult status = encode(&tensor, CU_TENSOR_MAP_DATA_TYPE_UINT8, 3, const_cast<void*>(s.data), sizes, steps, box, every, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                 CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  check(status == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue, "cuTensorMapEncodeTiled");
  return tensor;
}

// `bytes`, a multiple of 16, from and to multiples of 16.
__device__ inline void copy_bytes(std::uint32_t to, const void* from, int bytes, std::uint32_t barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from), "r"(bytes), "r"(barrier)
               : "memory");
}

}  // namespace fathom::kernels::cuda
