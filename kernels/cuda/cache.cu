// Records into and out of the paged caches (model_spec/ops/cache.h, cache.cuh).
// Floor: what is moved, once.
#include "kernels/cuda/cache.h"

#include "kernels/cuda/cache.cuh"

namespace fathom::kernels::cuda {
namespace {

using model_spec::page_tokens;
using model_spec::scale_block;

// Units of a record: the octets of the latent part, padded, then those of the RoPE part.
__host__ __device__ std::int64_t units_of(const LatentCache& cache) { return padded_octets(cache.latent) + padded_octets(cache.rope); }

template <bool wide>
__global__ void __launch_bounds__(walk_threads) latent_write(Matrix c_kv, Matrix k_pe, const std::int32_t* slots, LatentCache cache, Record record) {
  const std::int64_t latent_units = padded_octets(cache.latent);
  each_unit(c_kv.rows, units_of(cache), [&](std::int64_t t, std::int64_t unit) {
    if (slots[t] < 0) return;
    const bool latent = unit < latent_units;
    const std::int64_t first = 8 * (latent ? unit : unit - latent_units);
    const auto* x = latent ? row_of<const std::uint16_t>(c_kv, t) : row_of<const std::uint16_t>(k_pe, t);
    const Matrix part = part_of(cache, record, slots[t], latent);
    store_quantised<wide>(part, 0, first, load_octet<wide>(x, first, part.columns));
  });
}

// Elements first .. first + 8 of a row of bf16, or of e4m3 times their scale.
template <bool wide>
__device__ Octet load_scaled(const Matrix& m, std::int64_t first) {
  if (m.type == DType::bf16) return load_octet<wide>(static_cast<const std::uint16_t*>(m.data), first, m.columns);
  if (first >= m.columns) return {};
  Octet x = load_e4m3<wide>(static_cast<const std::uint8_t*>(m.data), first, m.columns);
  const float scale = m.scales[first / scale_block];
#pragma unroll
  for (float& v : x.v) v *= scale;
  return x;
}

template <bool wide>
__global__ void __launch_bounds__(walk_threads) latent_read(LatentCache cache, Record record, const std::int32_t* slots, Matrix y) {
  const std::int64_t latent_units = padded_octets(cache.latent);
  each_unit(y.rows, units_of(cache), [&](std::int64_t t, std::int64_t unit) {
    if (slots[t] < 0) return;
    const bool latent = unit < latent_units;
    const std::int64_t first = 8 * (latent ? unit : unit - latent_units);
    const Matrix part = part_of(cache, record, slots[t], latent);
    store_octet<wide>(row_of<std::uint16_t>(y, t) + (latent ? 0 : cache.latent), first, part.columns, load_scaled<wide>(part, first));
  });
}

// Keys as bytes, 16 at a time; the thread of the first bytes of a scale's numbers takes the scale along.
template <bool wide>
__global__ void __launch_bounds__(walk_threads) index_write(Matrix k, const std::int32_t* slots, IndexCache cache, std::int64_t key_bytes) {
  const bool scaled = cache.type == DType::fp8_row;
  const std::int64_t scales = scaled ? scales_of(cache.dims) : 0;
  each_unit(k.rows, (key_bytes + 15) / 16, [&](std::int64_t t, std::int64_t unit) {
    if (slots[t] < 0) return;
    const std::int64_t page = slots[t] / page_tokens, offset = slots[t] % page_tokens, first = 16 * unit;
    auto* keys = static_cast<std::uint8_t*>(cache.data) + page * page_tokens * (key_bytes + 4 * scales);
    const auto* from = static_cast<const std::uint8_t*>(k.data) + t * k.stride * (scaled ? 1 : 2);
    copy_16_bytes<wide>(keys + offset * key_bytes, from, first, key_bytes);
    if (scaled && first % scale_block == 0)
      reinterpret_cast<float*>(keys + page_tokens * key_bytes)[offset * scales + first / scale_block] = k.scales[first / scale_block * k.scale_stride + t];
  });
}

}  // namespace

void latent_cache_write(const model_spec::LatentCacheWrite<std::int64_t>& op, const Matrix& c_kv, const Matrix& k_pe, const std::int32_t* slots,
                        const LatentCache& cache, Stream stream) {
  assert(c_kv.type == DType::bf16 && k_pe.type == DType::bf16 && c_kv.rows == op.tokens && k_pe.rows == op.tokens);
  assert(op.format == cache.format && op.latent == cache.latent && op.rope == cache.rope && c_kv.columns == op.latent && k_pe.columns == op.rope);
  assert(op.latent % 4 == 0 && op.rope % 2 == 0);  // scales stand at multiples of 4
  if (op.tokens == 0) return;
  const unsigned blocks = walk_blocks(op.tokens, units_of(cache));
  choose(in_octets(c_kv) && in_octets(k_pe) && in_octets(cache),
         [&](auto wide) { latent_write<wide><<<blocks, walk_threads, 0, stream>>>(c_kv, k_pe, slots, cache, record_of(cache)); });
  check_launch("latent_cache_write");
}

void latent_cache_read(const model_spec::LatentCacheRead<std::int64_t>& op, const LatentCache& cache, const std::int32_t* slots, const Matrix& y,
                       Stream stream) {
  assert(op.format == cache.format && op.latent == cache.latent && op.rope == cache.rope && op.latent % 4 == 0 && op.rope % 2 == 0);
  assert(y.type == DType::bf16 && y.rows == op.tokens && y.columns == op.latent + op.rope);
  if (op.tokens == 0) return;
  const unsigned blocks = walk_blocks(op.tokens, units_of(cache));
  choose(in_octets(y) && in_octets(cache), [&](auto wide) { latent_read<wide><<<blocks, walk_threads, 0, stream>>>(cache, record_of(cache), slots, y); });
  check_launch("latent_cache_read");
}

void index_cache_write(const model_spec::IndexCacheWrite<std::int64_t>& op, const Matrix& k, const std::int32_t* slots, const IndexCache& cache,
                       Stream stream) {
  assert(k.type == cache.type && k.rows == op.tokens && k.columns == op.dims && cache.dims == op.dims);
  assert(k.type == DType::bf16 || k.type == DType::fp8_row);
  if (op.tokens == 0) return;
  const std::int64_t key_bytes = op.dims * static_cast<std::int64_t>(model_spec::element_bytes(k.type));
  const unsigned blocks = walk_blocks(op.tokens, (key_bytes + 15) / 16);
  choose(in_16_bytes(k) && reinterpret_cast<std::uintptr_t>(cache.data) % 16 == 0,
         [&](auto wide) { index_write<wide><<<blocks, walk_threads, 0, stream>>>(k, slots, cache, key_bytes); });
  check_launch("index_cache_write");
}

}  // namespace fathom::kernels::cuda
