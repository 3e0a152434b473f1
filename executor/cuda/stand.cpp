#include "executor/cuda/stand.h"

#include <algorithm>

#include "executor/cuda/fill.h"

namespace fathom::executor {

using namespace model_spec;
using kernels::cuda::check;

namespace {

using I = std::int64_t;
constexpr I alignment = 256;
constexpr I round_up(I n, I to) { return (n + to - 1) / to * to; }
constexpr I blocks(I n) { return (n + scale_block - 1) / scale_block; }

I element(DType type) { return static_cast<I>(element_bytes(type)); }

}  // namespace

Stand::Operand Stand::add(Entry e) {
  e.bytes = round_up(std::max<I>(e.bytes, 1), alignment);
  e.copies = std::min(sets_, operand_sets(static_cast<double>(e.bytes), cold_bytes_));
  entries_.push_back(std::move(e));
  return {entries_.size() - 1};
}

Stand::Operand Stand::random(DType type, I rows, I columns, I count) {
  Entry e;
  auto& m = e.shape.first;
  m = {.type = type, .rows = rows, .columns = columns, .stride = columns};
  const I matrix = round_up(element(type) * round_up(rows, 4) * columns, alignment);
  e.shape.count = count;
  e.shape.step = matrix / element(type);
  if (type == DType::fp8_row) m.scale_stride = round_up(rows, 4), e.shape.scale_step = m.scale_stride * blocks(columns);
  if (type == DType::fp8_block) m.scale_stride = round_up(blocks(columns), 4), e.shape.scale_step = m.scale_stride * blocks(rows);
  e.bytes = count * (matrix + round_up(e.shape.scale_step * I{sizeof(float)}, alignment));
  const auto seed = entries_.size() * most_sets;
  e.fill = [shape = e.shape, seed](std::byte* copy, I number, Stream stream) {
    if (shape.first.rows > 0) executor::fill(placed(shape, copy), seed + static_cast<std::uint64_t>(number), stream);
  };
  return add(std::move(e));
}

Stand::Operand Stand::output(DType type, I rows, I columns) {
  const auto operand = random(type, rows, columns);
  entries_[operand.index].fill = nullptr;
  entries_[operand.index].poisoned = true;
  return operand;
}

Stand::Operand Stand::scratch(I bytes) { return add({.bytes = bytes}); }

Stand::Operand Stand::latent_cache(CacheFormat format, I latent, I rope, I pages) {
  const auto bytes = latent_cache_bytes(format, static_cast<double>(pages * page_tokens), static_cast<double>(latent), static_cast<double>(rope));
  Entry e{.bytes = static_cast<I>(bytes), .latent = {format, latent, rope, nullptr}};
  e.fill = [cache = e.latent, pages, seed = entries_.size() * most_sets](std::byte* copy, I number, Stream stream) mutable {
    cache.data = copy;
    executor::fill(cache, pages, seed + static_cast<std::uint64_t>(number), stream);
  };
  return add(std::move(e));
}

Stand::Operand Stand::index_cache(DType type, I dims, I pages) {
  Entry e{.bytes = static_cast<I>(storage_bytes(type, static_cast<double>(pages * page_tokens), static_cast<double>(dims))), .index = {type, dims, nullptr}};
  e.fill = [cache = e.index, pages, seed = entries_.size() * most_sets](std::byte* copy, I number, Stream stream) mutable {
    cache.data = copy;
    executor::fill(cache, pages, seed + static_cast<std::uint64_t>(number), stream);
  };
  return add(std::move(e));
}

double Stand::bytes() const {
  double sum = 0;
  for (const auto& e : entries_) sum += static_cast<double>(e.bytes * e.copies);
  return sum;
}

void Stand::make(DeviceMemory& memory, Stream stream) {
  memory.reserve(static_cast<std::size_t>(bytes()));
  auto* next = static_cast<std::byte*>(memory.get());
  for (auto& e : entries_) {
    e.first = next;
    next += e.bytes * e.copies;
    check(cudaMemsetAsync(e.first, e.poisoned ? 0xff : 0, static_cast<std::size_t>(e.bytes * e.copies), stream), "cudaMemset");
    for (I i = 0; e.fill && i < e.copies; ++i) e.fill(e.first + i * e.bytes, i, stream);
  }
  for (I set = 0; prepare_ && set < sets_; ++set) prepare_(set, stream);
  check(cudaStreamSynchronize(stream), "making of operands");
}

bool Stand::wrote(Stream stream) const {
  for (const auto& e : entries_) {
    const auto& m = e.shape.first;
    if (!e.poisoned || m.rows == 0) continue;
    for (const I row : {I{0}, m.rows - 1}) {
      const auto bytes = download(e.first + row * m.stride * element(m.type), static_cast<std::size_t>(element(m.type)), stream);
      if (std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0xff}; })) return false;
    }
  }
  return true;
}

std::byte* Stand::copy(Operand operand, I set) const {
  const auto& e = entry(operand);
  return e.first + set % e.copies * e.bytes;
}

Stand::Stack Stand::placed(Stack shape, std::byte* at) {
  shape.first.data = at;
  if (shape.scale_step > 0) shape.first.scales = reinterpret_cast<float*>(at + shape.count * shape.step * element(shape.first.type));
  return shape;
}

Stand::Stack Stand::stack(Operand operand, I set) const { return placed(entry(operand).shape, copy(operand, set)); }
Stand::Matrix Stand::matrix(Operand operand, I set) const { return stack(operand, set).first; }

kernels::cuda::LatentCache Stand::latent(Operand operand, I set) const {
  auto cache = entry(operand).latent;
  cache.data = copy(operand, set);
  return cache;
}
kernels::cuda::IndexCache Stand::index(Operand operand, I set) const {
  auto cache = entry(operand).index;
  cache.data = copy(operand, set);
  return cache;
}
kernels::cuda::Workspace Stand::workspace(Operand operand, I set) const { return {copy(operand, set), entry(operand).bytes}; }

Op declare(Stand& stand, const BenchRecord& record, const StandFacts& facts) {
  Op as_it_runs = record.op;
  std::visit(
      [&](auto& op) {
        using T = std::remove_cvref_t<decltype(op)>;
        if constexpr (std::is_same_v<T, SparseMla<I>>) stands::declare(stand, op, facts, record.from_copy);
        else if constexpr (requires { stands::declare(stand, op, facts); }) stands::declare(stand, op, facts);
        else if constexpr (requires { stands::declare(stand, op); }) stands::declare(stand, op);
        else throw Error(Failure::device, std::string(T::name) + ": exchanges between GPUs are not timed yet");
      },
      as_it_runs);
  return as_it_runs;
}

}  // namespace fathom::executor
