// Where records of the paged caches stand; their layouts are executor/cache.h's:
//   latent  a record a slot: e4m3[latent], fp32[ceil(latent / 128)], bf16[rope]; or bf16[latent + rope]
//   index   a page: e4m3[page_tokens, dims], then fp32[page_tokens, ceil(dims / 128)]; or bf16[page_tokens, dims]
#pragma once

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {

constexpr __host__ __device__ std::int64_t scales_of(std::int64_t columns) { return (columns + model_spec::scale_block - 1) / model_spec::scale_block; }

// Where the parts of a latent record stand, in bytes.
struct Record {
  std::int64_t scales, rope, bytes;
};
inline Record record_of(const LatentCache& cache) {
  const bool fp8 = cache.format == model_spec::CacheFormat::fp8;
  const std::int64_t scales = cache.latent * (fp8 ? 1 : 2), rope = scales + (fp8 ? 4 * scales_of(cache.latent) : 0);
  return {scales, rope, rope + 2 * cache.rope};
}

// Whether octets may be used on the cache: all parts of all records start at 16 bytes.
inline bool in_octets(const LatentCache& cache) {
  const auto record = record_of(cache);
  return cache.latent % 8 == 0 && cache.rope % 8 == 0 && record.rope % 16 == 0 && record.bytes % 16 == 0 &&
         reinterpret_cast<std::uintptr_t>(cache.data) % 16 == 0;
}

// One part of the record of a slot, as a matrix of one row.
__device__ inline Matrix part_of(const LatentCache& cache, const Record& record, std::int64_t slot, bool latent) {
  auto* bytes = static_cast<std::uint8_t*>(cache.data) + slot * record.bytes;
  if (!latent) return {DType::bf16, 1, cache.rope, cache.rope, bytes + record.rope};
  const DType type = cache.format == model_spec::CacheFormat::fp8 ? DType::fp8_row : DType::bf16;
  return {type, 1, cache.latent, cache.latent, bytes, reinterpret_cast<float*>(bytes + record.scales), 1};
}

// The key of a slot, as a matrix of one row.
__device__ inline Matrix key_of(const IndexCache& cache, std::int64_t slot) {
  using model_spec::page_tokens;
  const std::int64_t element = cache.type == DType::fp8_row ? 1 : 2, scales = cache.type == DType::fp8_row ? scales_of(cache.dims) : 0;
  const std::int64_t page = slot / page_tokens, offset = slot % page_tokens;
  auto* keys = static_cast<std::uint8_t*>(cache.data) + page * page_tokens * (cache.dims * element + 4 * scales);
  return {cache.type,
          1,
          cache.dims,
          cache.dims,
          keys + offset * cache.dims * element,
          reinterpret_cast<float*>(keys + page_tokens * cache.dims * element) + offset * scales,
          1};
}

}  // namespace fathom::kernels::cuda
