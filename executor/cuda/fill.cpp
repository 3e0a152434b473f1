#include "executor/cuda/fill.h"

#include <numeric>

#include "executor/cuda/device_buffer.h"
#include "executor/synthetic.h"
#include "kernels/cuda/cache.h"
#include "kernels/cuda/quantise.h"
#include "kernels/cuda/synthetic.h"

namespace fathom::executor {

using namespace model_spec;
namespace cuda = kernels::cuda;
using cuda::Matrix;
using cuda::Stack;
using cuda::Stream;

namespace {

constexpr std::int64_t pages_at_once = 1024;  // what is made in between stays below a hundred megabytes

void make(const Stack& y, std::uint64_t seed, Stream stream) {
  std::vector<std::uint64_t> bases;
  for (std::int64_t i = 0; i < y.count; ++i) bases.push_back(splitmix64(splitmix64(seed) + static_cast<std::uint64_t>(i)));
  cuda::synthetic({.factor = 1, .columns = y.first.columns}, y.first.type, bases, y, stream);
}
void make(const Matrix& y, std::uint64_t seed, Stream stream) { make(Stack{.first = y, .count = 1, .step = y.rows * y.stride}, seed, stream); }

Matrix matrix_of(const Stack& stack, std::int64_t i) {
  auto m = stack.first;
  m.data = static_cast<std::byte*>(m.data) + i * stack.step * static_cast<std::int64_t>(element_bytes(m.type));
  if (m.scales) m.scales += i * stack.scale_step;
  return m;
}

void make_quantised(const Stack& y, std::uint64_t seed, Stream stream) {
  DeviceBuffer plain;
  plain.shape(DType::bf16, y.first.rows, y.first.columns);
  for (std::int64_t i = 0; i < y.count; ++i) {
    const auto m = matrix_of(y, i);
    make(plain.view(), seed + static_cast<std::uint64_t>(i), stream);
    cuda::quantise({.tokens = m.rows, .width = m.columns, .output = m.type}, plain.view(), m, stream);
  }
  cuda::check(cudaStreamSynchronize(stream), "filling of a matrix");
}

// Slots of pages_at_once pages in order, int32.
DeviceMemory slots_in_order() {
  std::vector<std::int32_t> slots(static_cast<std::size_t>(pages_at_once * page_tokens));
  std::iota(slots.begin(), slots.end(), 0);
  DeviceMemory memory(slots.size() * sizeof(std::int32_t));
  cuda::check(cudaMemcpy(memory.get(), slots.data(), memory.bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
  return memory;
}

// write(first page, pages, records in bf16) for piece after piece of a cache.
template <class Write>
void each_piece(std::int64_t pages, std::int64_t columns, std::uint64_t seed, Stream stream, Write write) {
  DeviceBuffer plain;
  for (std::int64_t first = 0; first < pages; first += pages_at_once) {
    const auto some = std::min(pages_at_once, pages - first);
    plain.shape(DType::bf16, some * page_tokens, columns);
    make(plain.view(), seed + static_cast<std::uint64_t>(first), stream);
    write(first, some * page_tokens, plain.view());
  }
  cuda::check(cudaStreamSynchronize(stream), "filling of a cache");
}

void* advanced(void* data, double bytes) { return static_cast<std::byte*>(data) + static_cast<std::int64_t>(bytes); }

}  // namespace

void fill(const Stack& y, std::uint64_t seed, Stream stream) {
  if (y.first.type == DType::fp8_row) make_quantised(y, seed, stream);
  else make(y, seed, stream);
}

void fill(const cuda::LatentCache& cache, std::int64_t pages, std::uint64_t seed, Stream stream) {
  const auto slots = slots_in_order();
  const double page_bytes = latent_cache_bytes(cache.format, double{page_tokens}, static_cast<double>(cache.latent), static_cast<double>(cache.rope));
  each_piece(pages, cache.latent + cache.rope, seed, stream, [&](std::int64_t first, std::int64_t tokens, const Matrix& records) {
    auto piece = cache;
    piece.data = advanced(cache.data, page_bytes * static_cast<double>(first));
    cuda::latent_cache_write({.tokens = tokens, .latent = cache.latent, .rope = cache.rope, .format = cache.format}, columns_of(records, 0, cache.latent),
                             columns_of(records, cache.latent, cache.rope), slots.as<std::int32_t>(), piece, stream);
  });
}

void fill(const cuda::IndexCache& cache, std::int64_t pages, std::uint64_t seed, Stream stream) {
  const auto slots = slots_in_order();
  const double page_bytes = storage_bytes(cache.type, double{page_tokens}, static_cast<double>(cache.dims));
  DeviceBuffer keys;
  each_piece(pages, cache.dims, seed, stream, [&](std::int64_t first, std::int64_t tokens, const Matrix& records) {
    keys.shape(cache.type, tokens, cache.dims);
    cuda::quantise({.tokens = tokens, .width = cache.dims, .output = cache.type}, records, keys.view(), stream);
    auto piece = cache;
    piece.data = advanced(cache.data, page_bytes * static_cast<double>(first));
    cuda::index_cache_write({.tokens = tokens, .dims = cache.dims}, keys.view(), slots.as<std::int32_t>(), piece, stream);
  });
}

}  // namespace fathom::executor
