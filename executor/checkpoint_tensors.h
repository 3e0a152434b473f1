// What a checkpoint stores for the tensors of a model: names, types and shapes. Reading, inspecting and writing share it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "executor/safetensors.h"
#include "executor/weights.h"
#include "model_spec/tensors.h"

namespace fathom::executor {

// A tensor of the table with its numbers (-1: it has none).
struct Instance {
  const model_spec::Tensor* tensor = nullptr;
  std::int64_t layer = -1, expert = -1;
  [[nodiscard]] std::string name() const { return tensor_name(*tensor, layer, expert); }
};
// All of them: the model's own, then layer by layer. They point into the table.
std::vector<Instance> instances(const model_spec::TensorTable&);

constexpr bool is_quantised(const model_spec::Tensor& t) { return t.storage == DType::fp8_block; }
// Of "x.weight": "x.weight_scale_inv", fp32 [ceil(rows / 128), ceil(columns / 128)], the factor of each block.
inline std::string scales_name(const std::string& name) { return name + "_scale_inv"; }

// The type and shape that a tensor and its scales are stored with. Types that this layout lacks have none.
std::optional<FileType> file_type(DType);
std::vector<std::int64_t> file_shape(const model_spec::Tensor&);  // a vector has one extent
std::vector<std::int64_t> scales_shape(const model_spec::Tensor&);
std::string shape_text(const std::vector<std::int64_t>&);  // "[2, 3]"

// Why a tensor of a file and its scales (null if it is not quantised) are not what the table says; empty if they are.
std::string mismatch(const model_spec::Tensor&, const TensorEntry&, const TensorEntry* scales);

// Of a prediction layer's embedding or head, which need not be stored, the model's own; null for all others.
const model_spec::Tensor* model_own(const model_spec::TensorTable&, const model_spec::Tensor&);

}  // namespace fathom::executor
