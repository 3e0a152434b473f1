#include "executor/cuda/step_memory.h"

#include <algorithm>
#include <map>
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

// The outputs of products that have as many weights. Only where all of them then start at 16 bytes, as kernels want their rows to.
std::vector<std::vector<std::size_t>> products_of(const Block& block) {
  std::vector<std::vector<std::size_t>> all;
  for (const auto& step : block.steps) {
    if (!std::holds_alternative<Gemm<std::int64_t>>(step.op)) continue;
    std::vector<std::size_t> outputs;
    for (const auto& o : step.operands)
      if (o.role == Role::output) outputs.push_back(o.id);
    const bool aligned = std::ranges::all_of(outputs, [&](std::size_t a) { return block.activations[a].columns % 8 == 0; });
    if (outputs.size() > 1 && aligned) all.push_back(outputs);
  }
  return all;
}

// What is placed at once: activations side by side.
struct Piece {
  std::vector<std::size_t> activations;
  ActivationShape shape;
  Life life;
  std::int64_t offset = 0;
  [[nodiscard]] std::int64_t bytes() const { return matrix_bytes(shape.type, shape.rows, shape.columns); }
};

std::vector<Piece> pieces_of(const Block& block, const std::vector<BlockMemory::Place>& places) {
  const auto lives = lives_of(block);
  std::vector<Piece> pieces;
  std::vector<bool> taken(places.size(), false);
  const auto add = [&](const std::vector<std::size_t>& activations) {
    Piece piece{activations, places[activations.front()].shape, lives[activations.front()]};
    piece.shape.columns = 0;
    for (const auto a : activations) {
      taken[a] = true;
      piece.shape.columns += places[a].shape.columns;
      piece.life = {std::min(piece.life.first, lives[a].first), std::max(piece.life.last, lives[a].last)};
    }
    if (piece.shape.rows > 0) pieces.push_back(std::move(piece));
  };
  for (const auto& outputs : products_of(block)) add(outputs);
  for (std::size_t i = 0; i < places.size(); ++i)
    if (!taken[i] && !block.activations[i].persists) add({i});
  return pieces;
}

// Where a piece fits among those that are placed, which stand in the order of offsets.
std::int64_t free_offset(const Piece& piece, const std::vector<Piece>& placed) {
  std::int64_t offset = 0;
  for (const auto& other : placed) {
    if (!piece.life.meets(other.life)) continue;
    if (offset + piece.bytes() <= other.offset) break;
    offset = std::max(offset, other.offset + other.bytes());
  }
  return offset;
}

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
  for (std::size_t i = 0; i < block.activations.size(); ++i)
    memory.places.push_back({activation_shape(block, static_cast<std::uint8_t>(i), sizes, m, numerics)});
  auto pieces = pieces_of(block, memory.places);
  std::ranges::stable_sort(pieces, std::greater{}, &Piece::bytes);
  std::vector<Piece> placed;
  for (auto& piece : pieces) {
    piece.offset = free_offset(piece, placed);
    memory.bytes = std::max(memory.bytes, piece.offset + piece.bytes());
    std::int64_t column = 0;
    for (const auto a : piece.activations) {
      auto& place = memory.places[a];
      place.offset = piece.offset + static_cast<std::int64_t>(element_bytes(piece.shape.type)) * column;
      place.stride = piece.shape.columns;
      column += place.shape.columns;
    }
    placed.insert(std::ranges::upper_bound(placed, piece.offset, {}, &Piece::offset), piece);
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
      if (block.activations[i].persists) {
        const auto& shape = memory.places[i].shape;
        own[block.activations[i].name] = matrix_bytes(shape.type, shape.rows, shape.columns);
      }
  }
  for (const auto& [name, bytes] : own) shared += bytes;
  return static_cast<double>(shared);
}

}  // namespace fathom::executor
