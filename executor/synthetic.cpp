#include "executor/synthetic.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <span>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/quantise.h"

namespace fathom::executor {
namespace {

using kernels::cpu::Matrix;
using kernels::cpu::parallel_for;
using model_spec::scale_block;
using model_spec::Tensor;
using model_spec::Weight;

// Elements of a whole tensor. Compiled without contraction: a fused product and sum would round once where the rule rounds twice.
struct Values {
  Uniform u;
  std::int64_t columns = 0;
  float offset = 0, factor = 0;
  // Row r from column `first` on.
  void row(std::int64_t r, std::int64_t first, std::span<float> out) const {
    const auto from = static_cast<std::uint64_t>(r * columns + first);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = offset + factor * u(from + i);
  }
};

bool is_index_norm(const Tensor& t) { return t.id == Weight::index_k_norm_weight || t.id == Weight::index_k_norm_bias; }

// Under which name a tensor is made.
std::string source_name(const Tensor& t, std::int64_t layer, std::int64_t expert) {
  if (t.id == Weight::mtp_embed_tokens) return "model.embed_tokens.weight";
  if (t.id == Weight::mtp_lm_head) return "lm_head.weight";
  return tensor_name(t, layer, expert);
}

Values values_of(const Tensor& t, const std::string& name, std::uint64_t seed) {
  const Uniform u(name, seed);
  if (name.ends_with("norm.weight")) return {u, t.columns, 1.0f, 0.1f};
  if (name.ends_with("norm.bias") || name.ends_with("e_score_correction_bias")) return {u, t.columns, 0.0f, 0.1f};
  const double inputs = name.ends_with("embed_tokens.weight") ? 1.0 : static_cast<double>(t.columns);
  return {u, t.columns, 0.0f, static_cast<float>(std::sqrt(3.0 / inputs))};
}

void fill_plain(const Values& values, const Slice& s, Matrix& out) {
  parallel_for(s.rows, [&](std::int64_t r) {
    std::vector<float> row(static_cast<std::size_t>(s.columns));
    values.row(s.first_row + r, s.first_column, row);
    for (std::int64_t c = 0; c < s.columns; ++c) out.set(r, c, row[static_cast<std::size_t>(c)]);
  });
}

// The block of a slice that starts at (row, column): codes and scale.
void fill_block(const Values& values, const Slice& s, std::int64_t row, std::int64_t column, Matrix& out) {
  const auto rows = std::min<std::int64_t>(scale_block, s.rows - row), columns = std::min<std::int64_t>(scale_block, s.columns - column);
  std::array<float, scale_block * scale_block> numbers;
  const std::span block(numbers.data(), static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r)
    values.row(s.first_row + row + r, s.first_column + column, block.subspan(static_cast<std::size_t>(r * columns), static_cast<std::size_t>(columns)));
  float amax = 0;
  for (const float x : block) amax = std::max(amax, std::abs(x));
  const float scale = std::max(amax, 1e-12f) * (1.0f / kernels::cpu::e4m3_largest);
  out.set_scale(row, column, scale);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) out.set(row + r, column + c, block[static_cast<std::size_t>(r * columns + c)] / scale);
}

void fill_blocks(const Values& values, [[maybe_unused]] const Tensor& t, const Slice& s, Matrix& out) {
  [[maybe_unused]] const auto whole = [](std::int64_t first, std::int64_t count, std::int64_t size) {
    return first % scale_block == 0 && (count % scale_block == 0 || first + count == size);
  };
  assert(whole(s.first_row, s.rows, t.rows) && whole(s.first_column, s.columns, t.columns));
  const auto across = (s.columns + scale_block - 1) / scale_block, down = (s.rows + scale_block - 1) / scale_block;
  parallel_for(down * across, [&](std::int64_t i) { fill_block(values, s, i / across * scale_block, i % across * scale_block, out); });
}

// Row r of a slice, from the whole row of the tensor quantised.
void fill_row(const Values& values, const Tensor& t, const Slice& s, std::int64_t r, Matrix& out) {
  std::vector<float> row(static_cast<std::size_t>(t.columns));
  values.row(s.first_row + r, 0, row);
  auto whole = new_matrix(t.storage, 1, t.columns);
  kernels::cpu::store_row<float>(t.storage, kernels::cpu::Scales::exact, row, 0, whole.view);
  for (std::int64_t c = 0; c < s.columns; ++c) out.set(r, c, whole.view.get(0, s.first_column + c));
  for (std::int64_t c = 0; c < s.columns; c += kernels::cpu::scale_group(t.storage, s.columns)) out.set_scale(r, c, whole.view.scale(0, s.first_column + c));
}

// Two rows at once: they are whole bytes also where a number has four bits.
void fill_rows(const Values& values, const Tensor& t, const Slice& s, Matrix& out) {
  parallel_for((s.rows + 1) / 2, [&](std::int64_t pair) {
    for (std::int64_t r = 2 * pair; r < std::min(2 * pair + 2, s.rows); ++r) fill_row(values, t, s, r, out);
  });
}

}  // namespace

std::uint64_t fnv1a64(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325u;  // offset and prime of the 64-bit FNV-1a hash
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

StoredMatrix SyntheticWeights::load(const Tensor& t, std::int64_t layer, std::int64_t expert, const Slice& s) const {
  if (is_index_norm(t) && t.storage != unquantised_) {
    auto rounded = t;
    rounded.storage = unquantised_;
    return converted(load(rounded, layer, expert, s), t.storage);
  }
  const auto values = values_of(t, source_name(t, layer, expert), seed_);
  auto [stored, out] = new_matrix(t.storage, s.rows, s.columns);
  if (!model_spec::has_scales(t.storage)) fill_plain(values, s, out);
  else if (t.storage == DType::fp8_block) fill_blocks(values, t, s, out);
  else fill_rows(values, t, s, out);
  return stored;
}

std::optional<Rule> SyntheticWeights::rule(const Tensor& t, std::int64_t layer, std::int64_t expert) const {
  if (model_spec::has_scales(t.storage) && t.storage != DType::fp8_block) return std::nullopt;
  if (is_index_norm(t) && t.storage != unquantised_ && unquantised_ != DType::bf16) return std::nullopt;
  const auto values = values_of(t, source_name(t, layer, expert), seed_);
  return Rule{.base = values.u.base(), .offset = values.offset, .factor = values.factor, .rounded = is_index_norm(t) && t.storage != unquantised_};
}

std::vector<std::int32_t> random_prompt(std::int64_t tokens, std::int64_t vocab_size, std::uint64_t seed) {
  const Uniform u("prompt", seed);
  std::vector<std::int32_t> ids;
  ids.reserve(static_cast<std::size_t>(tokens));
  for (std::int64_t i = 0; i < tokens; ++i)
    ids.push_back(static_cast<std::int32_t>((u(static_cast<std::uint64_t>(i)) * 0.5f + 0.5f) * static_cast<float>(vocab_size)));
  return ids;
}

}  // namespace fathom::executor
