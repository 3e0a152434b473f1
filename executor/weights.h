// Weights as a rank holds them: slices of the tensors in model_spec/tensors.h, from a checkpoint (checkpoint.h) or by rule (synthetic.h).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "executor/numerics.h"
#include "kernels/cpu/matrix.h"
#include "model_spec/place.h"
#include "model_spec/plan.h"

namespace fathom::executor {

// A matrix in its storage type; `owner` keeps its bytes alive (memory of its own, or a mapped file).
struct StoredMatrix {
  DType type = DType::bf16;
  std::int64_t rows = 0, columns = 0;
  const std::byte* data = nullptr;
  const std::byte* scales = nullptr;
  std::shared_ptr<const void> owner;
  [[nodiscard]] kernels::cpu::ConstMatrix view() const { return {type, rows, columns, data, scales}; }
};

// A matrix in memory of its own that is not filled yet: `view` writes what `stored` will read. Numbers and scales start at multiples of 16.
struct NewMatrix {
  StoredMatrix stored;
  kernels::cpu::Matrix view;
};
NewMatrix new_matrix(DType type, std::int64_t rows, std::int64_t columns);

// A part of a matrix. With 128x128 scales it starts at a multiple of 128 in both directions.
struct Slice {
  std::int64_t first_row = 0, rows = 0, first_column = 0, columns = 0;
};
// The part of a tensor that the rank at `place` keeps.
Slice slice_of(const model_spec::Tensor&, const model_spec::Layout&, const model_spec::Place&);

// Numbers by the rule of synthetic.h: element i of the whole tensor, row-major, is offset + factor * u(i), where u(i) comes from
// splitmix64(base + i). rounded: to bf16, though stored wider.
struct Rule {
  std::uint64_t base = 0;
  float offset = 0, factor = 0;
  bool rounded = false;
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // The slice of the tensor of this layer and expert (-1: neither stands in the name), in the type that is stored. Throws Error{bad_file}.
  // Callable from several threads at once.
  [[nodiscard]] virtual StoredMatrix load(const model_spec::Tensor&, std::int64_t layer, std::int64_t expert, const Slice&) const = 0;
  // The rule of that tensor, if a device can make by it what load() gives.
  [[nodiscard]] virtual std::optional<Rule> rule(const model_spec::Tensor&, std::int64_t /*layer*/, std::int64_t /*expert*/) const { return std::nullopt; }
};

// Told of loading in between and at the end, bytes as they are stored. May be empty.
using LoadProgress = std::function<void(double done, double all)>;

// Name of a tensor with its numbers filled in.
std::string tensor_name(const model_spec::Tensor&, std::int64_t layer, std::int64_t expert);

// `m` in another type without scales, dequantised if it had any. `m` itself if it is of that type.
StoredMatrix converted(const StoredMatrix& m, DType type);

// Everything one rank of one pipeline stage needs. Copies share the numbers.
class RankWeights {
 public:
  // numerics bf16: matrices with scales are dequantised to bf16. kv_b is kept besides as it is absorbed (see absorbed_k). A prediction
  // layer's head, and its embedding where this rank has the model's own, are those of the model.
  RankWeights(const model_spec::Plan&, const model_spec::Place&, Numerics, const WeightSource&, const LoadProgress& progress = {});

  [[nodiscard]] bool has(model_spec::Weight, std::int64_t layer) const;
  // layer: -1 for tensors of the model. Vectors come as one row.
  [[nodiscard]] const kernels::cpu::ConstMatrix& get(model_spec::Weight, std::int64_t layer) const;
  // One matrix for each of this rank's experts.
  [[nodiscard]] std::span<const kernels::cpu::ConstMatrix> experts(model_spec::Weight, std::int64_t layer) const;
  // For each head of this rank, fp32 (exact) or bf16: W_UK [nope, latent], and W_UV transposed, [latent, v].
  [[nodiscard]] std::span<const kernels::cpu::ConstMatrix> absorbed_k(std::int64_t layer) const;
  [[nodiscard]] std::span<const kernels::cpu::ConstMatrix> absorbed_v(std::int64_t layer) const;
  [[nodiscard]] double bytes() const;  // of what is held, absorbed copies not counted

 private:
  struct Layers;
  std::shared_ptr<const Layers> layers_;
};

}  // namespace fathom::executor
