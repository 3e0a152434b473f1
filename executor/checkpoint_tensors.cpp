#include "executor/checkpoint_tensors.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace fathom::executor {

using model_spec::Tensor;
using model_spec::Weight;

namespace {

constexpr std::int64_t blocks(std::int64_t extent) { return (extent + model_spec::scale_block - 1) / model_spec::scale_block; }

std::string shape_mismatch(std::string_view what, const std::vector<std::int64_t>& given, const std::vector<std::int64_t>& expected) {
  return given == expected ? "" : fmt::format("{} {}, the model has {}", what, shape_text(given), shape_text(expected));
}

}  // namespace

std::vector<Instance> instances(const model_spec::TensorTable& table) {
  std::vector<Instance> list;
  for (const Tensor& t : table) {
    if (t.layers.empty()) list.push_back({.tensor = &t});
    const bool numbered = t.name.find("{expert}") != std::string::npos;
    for (const auto& range : t.layers)
      for (std::int64_t layer = range.first; layer < range.first + range.count; ++layer)
        for (std::int64_t expert = 0; expert < t.experts; ++expert) list.push_back({&t, layer, numbered ? expert : -1});
  }
  std::ranges::stable_sort(list, {}, &Instance::layer);
  return list;
}

std::optional<FileType> file_type(DType type) {
  switch (type) {
    case DType::fp32: return FileType::f32;
    case DType::bf16: return FileType::bf16;
    case DType::fp8_block: return FileType::f8_e4m3;
    case DType::fp8_row:
    case DType::int8:
    case DType::int4_group:
    case DType::fp4:
    case DType::int32: return std::nullopt;
  }
  return std::nullopt;
}

std::vector<std::int64_t> file_shape(const Tensor& t) {
  if (t.columns == 1) return {t.rows};
  return {t.rows, t.columns};
}

std::vector<std::int64_t> scales_shape(const Tensor& t) { return {blocks(t.rows), blocks(t.columns)}; }

std::string shape_text(const std::vector<std::int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::string mismatch(const Tensor& t, const TensorEntry& entry, const TensorEntry* scales) {
  const auto type = file_type(t.storage);
  if (!type) return fmt::format("{} is not a type that this layout of checkpoints stores", name_of(t.storage));
  const bool fits = is_quantised(t) ? entry.type == *type : entry.type == FileType::bf16 || entry.type == FileType::f32;
  if (!fits) return fmt::format("is stored as {}, the model has {}", name_of(entry.type), is_quantised(t) ? "F8_E4M3 with scales" : "BF16 or F32");
  if (scales != nullptr && scales->type != FileType::f32) return fmt::format("its scales are stored as {}, not as F32", name_of(scales->type));
  std::string problem = shape_mismatch("has shape", entry.shape, file_shape(t));
  if (problem.empty() && scales != nullptr) problem = shape_mismatch("its scales have shape", scales->shape, scales_shape(t));
  return problem;
}

const Tensor* model_own(const model_spec::TensorTable& table, const Tensor& t) {
  if (t.id == Weight::mtp_embed_tokens) return model_spec::find(table, Weight::embed_tokens);
  if (t.id == Weight::mtp_lm_head) return model_spec::find(table, Weight::lm_head);
  return nullptr;
}

}  // namespace fathom::executor
