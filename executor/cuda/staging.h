// Two pieces of pinned memory, through which numbers of the host go to the device: while one is copied, the other is filled.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/cuda/check.h"

namespace fathom::executor {

class Staging {
 public:
  // On the default stream. `from` may change as soon as this returns.
  void upload(void* to, const void* from, std::size_t bytes) {
    using kernels::cuda::check;
    for (std::size_t done = 0; done < bytes; done += piece_bytes) {
      const auto some = std::min(piece_bytes, bytes - done);
      auto& piece = pieces_[next_];
      next_ = 1 - next_;
      check(cudaEventSynchronize(piece.copied), "cudaEventSynchronize");
      std::memcpy(piece.data, static_cast<const std::byte*>(from) + done, some);
      check(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, piece.data, some, cudaMemcpyHostToDevice), "cudaMemcpyAsync");
      check(cudaEventRecord(piece.copied), "cudaEventRecord");
    }
  }

 private:
  static constexpr std::size_t piece_bytes = std::size_t{64} << 20;  // the bus is busy for a millisecond with it: a call costs nothing beside that
  struct Piece {
    Piece() {
      kernels::cuda::check(cudaMallocHost(&data, piece_bytes), "cudaMallocHost");
      kernels::cuda::check(cudaEventCreateWithFlags(&copied, cudaEventDisableTiming), "cudaEventCreate");
    }
    Piece(Piece&&) = delete;
    Piece& operator=(Piece&&) = delete;
    ~Piece() {
      cudaEventSynchronize(copied);
      cudaEventDestroy(copied);
      cudaFreeHost(data);
    }
    void* data = nullptr;
    cudaEvent_t copied = nullptr;
  };
  std::array<Piece, 2> pieces_;
  std::size_t next_ = 0;
};

}  // namespace fathom::executor
