#include "executor/cuda/step_memory.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string_view>

#include "executor/held.h"

namespace fathom::executor {

using namespace model_spec;

namespace {

// The Hadamard transform that writes an activation, or null.
const Hadamard<std::int64_t>* transform_of(const Block& block, std::uint8_t activation) {
  for (const auto& step : block.steps)
    if (const auto* op = std::get_if<Hadamard<std::int64_t>>(&step.op))
      for (const auto& operand : step.operands)
        if (operand.role == Role::output && operand.id == activation) return op;
  return nullptr;
}

struct Life {
  std::size_t first = 0, last = 0;
  [[nodiscard]] bool meets(const Life& o) const { return first <= o.last && o.first <= last; }
};

std::vector<Life> lives_of(const Block& block) {
  std::vector<Life> lives;
  for (const auto& a : block.activations) lives.push_back({a.first_use, a.last_use});
  for (std::size_t i = 0; i < lives.size(); ++i)
    if (const auto other = block.activations[i].otherwise; other >= 0) {
      auto& life = lives[static_cast<std::size_t>(other)];
      life.last = std::max(life.last, lives[i].last);
    }
  return lives;
}

std::int64_t bytes_of(const ActivationShape& s) { return matrix_bytes(s.type, s.rows, s.columns); }

const Sizes& sizes_of(const BoundPlan& bound, const Block& block) { return bound.sizes[static_cast<std::size_t>(block.attention)]; }

}  // namespace

ActivationShape activation_shape(const Block& block, std::uint8_t id, const Sizes& sizes, const ModelSpec& m, Numerics numerics) {
  const auto& a = block.activations[id];
  ActivationShape s{held(numerics, a.type), a.rows == Rows::routed ? sizes.of(Rows::tokens, all_paths) * m.num_experts_per_tok : sizes.of(a.rows, a.paths),
                    a.columns};
  if (const auto* op = transform_of(block, id)) s.rows *= op->heads, s.columns = op->width;
  return s;
}

BlockMemory block_memory(const Block& block, const Sizes& sizes, const ModelSpec& m, Numerics numerics) {
  BlockMemory memory;
  const auto lives = lives_of(block);
  for (std::size_t i = 0; i < block.activations.size(); ++i)
    memory.places.push_back({activation_shape(block, static_cast<std::uint8_t>(i), sizes, m, numerics)});
  std::vector<std::size_t> order(memory.places.size()), placed;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return bytes_of(memory.places[i].shape); });
  for (const auto i : order) {
    auto& place = memory.places[i];
    if (block.activations[i].persists || place.shape.rows == 0) continue;
    place.offset = 0;
    for (const auto p : placed) {  // in the order of offsets
      const auto& other = memory.places[p];
      if (!lives[i].meets(lives[p])) continue;
      if (place.offset + bytes_of(place.shape) <= other.offset) break;
      place.offset = std::max(place.offset, other.offset + bytes_of(other.shape));
    }
    placed.insert(std::ranges::upper_bound(placed, place.offset, {}, [&](std::size_t p) { return memory.places[p].offset; }), i);
    memory.bytes = std::max(memory.bytes, place.offset + bytes_of(place.shape));
  }
  return memory;
}

double activation_bytes(const BoundPlan& bound, const ModelSpec& m, Numerics numerics) {
  std::int64_t shared = 0;
  std::map<std::string_view, std::int64_t> own;
  for (const auto& range : bound.blocks) {
    const auto& block = *range.block;
    const auto memory = block_memory(block, sizes_of(bound, block), m, numerics);
    shared = std::max(shared, memory.bytes);
    for (std::size_t i = 0; i < block.activations.size(); ++i)
      if (block.activations[i].persists) own[block.activations[i].name] = bytes_of(memory.places[i].shape);
  }
  for (const auto& [name, bytes] : own) shared += bytes;
  return static_cast<double>(shared);
}

}  // namespace fathom::executor
