// Numbers for benchmarks, made on the device by rule: a seed gives the same bytes on every machine. They are random and not zero: how much power a
// kernel draws, and so the clock it runs at, depends on its data.
#pragma once

#include <cstdint>

#include "kernels/cuda/matrix.h"

namespace fathom::executor {

// Uniform in [-1, 1). fp32, bf16, fp8_block, or fp8_row: then what the quantiser makes of such numbers in bf16.
void fill(const kernels::cuda::Stack&, std::uint64_t seed, kernels::cuda::Stream);

// Every record of the first `pages` pages of a layer's cache, as the cache's own writer makes them of such numbers: valid codes, finite scales.
void fill(const kernels::cuda::LatentCache&, std::int64_t pages, std::uint64_t seed, kernels::cuda::Stream);
void fill(const kernels::cuda::IndexCache&, std::int64_t pages, std::uint64_t seed, kernels::cuda::Stream);

}  // namespace fathom::executor
