// Inside plan(): the builder that one file per block of the model fills (lower_attention.cpp, lower_ffn.cpp, lower.cpp).
#pragma once

#include "model_spec/plan.h"

namespace fathom::model_spec {

class BlockBuilder {
 public:
  BlockBuilder(std::string_view name, std::int64_t first_layer, std::int64_t repeats) {
    block_.name = name;
    block_.first_layer = first_layer;
    block_.repeats = repeats;
  }

  std::uint8_t activation(const char* name, Rows rows, std::int64_t columns, DType type) {
    block_.activations.push_back({name, rows, columns, type});
    return static_cast<std::uint8_t>(block_.activations.size() - 1);
  }
  void persist(std::uint8_t activation) { block_.activations[activation].persists = true; }
  void stand_for(std::uint8_t activation, std::uint8_t other) { block_.activations[activation].otherwise = other; }
  [[nodiscard]] DType type_of(std::uint8_t activation) const { return block_.activations[activation].type; }
  // The step just added can be changed through the reference until the next one is added.
  Step& add(const char* label, Op op, Rows rows, std::initializer_list<Operand> operands);
  Block take();

 private:
  Block block_;
};

constexpr Operand in(std::uint8_t id) { return {Role::input, id}; }
constexpr Operand out(std::uint8_t id) { return {Role::output, id}; }
constexpr Operand weight(Weight w) { return {Role::weight, static_cast<std::uint8_t>(w)}; }
constexpr Operand reads(Cache c) { return {Role::cache_read, static_cast<std::uint8_t>(c)}; }
// Columns `first` .. `first + columns` of it.
constexpr Operand part(Operand of, std::int64_t first, std::int64_t columns) {
  return {of.role, of.id, static_cast<std::int32_t>(first), static_cast<std::int32_t>(columns)};
}
constexpr Operand writes(Cache c) { return {Role::cache_write, static_cast<std::uint8_t>(c)}; }

// What lowering a block needs to know.
struct Lowering {
  const ModelSpec& model;
  const Layout& layout;
  const Policy& policy;
  [[nodiscard]] std::int64_t heads() const { return model.num_attention_heads / layout.tp; }
  // What a producer writes for consumers whose weights are stored as `weight`: quantised right away if producers do that.
  [[nodiscard]] DType produced(DType weight) const { return policy.fused ? activation_for(weight) : DType::bf16; }
};

// The stream that every layer reads and extends: the last block's contribution and the sum so far, both bf16[tokens, hidden].
struct Residual {
  std::uint8_t delta = 0, sum = 0;
};
Residual residual(BlockBuilder&, const Lowering&);

// Both read and write the residual stream. first: no sum so far (embedding, or the input of a pipeline stage).
void lower_attention(BlockBuilder&, const Lowering&, Attention, const Residual&, bool first);
void lower_dense_ffn(BlockBuilder&, const Lowering&, const Residual&);
void lower_moe(BlockBuilder&, const Lowering&, const Residual&);

// y = x W^T with W [out, in] stored as `weight`, its activations quantised to match.
constexpr Gemm<std::int64_t> projection(std::int64_t in, std::int64_t out, DType weight) {
  return {.in = in, .out = out, .weight = weight, .activation = activation_for(weight), .output = DType::bf16};
}
// Quantises an activation for weights stored as `weight`, unless its producer already did. Returns the activation to read.
// columns: the first of x, all that are quantised.
std::uint8_t quantised(BlockBuilder&, const char* label, std::uint8_t x, Rows rows, std::int64_t columns, DType weight, PathSet paths = all_paths);

}  // namespace fathom::model_spec
