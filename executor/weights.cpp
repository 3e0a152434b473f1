#include "executor/weights.h"

#include <cassert>

#include "kernels/cpu/parallel.h"

namespace fathom::executor {
namespace {

using model_spec::Shard;

void fill_in(std::string& text, std::string_view key, std::int64_t number) {
  if (const auto at = text.find(key); at != std::string::npos) text.replace(at, key.size(), std::to_string(number));
}

}  // namespace

NewMatrix new_matrix(DType type, std::int64_t rows, std::int64_t columns) {
  constexpr std::size_t alignment = 16;  // of new, and of what vector units load
  const auto height = static_cast<double>(rows), width = static_cast<double>(columns);
  const auto numbers = static_cast<std::size_t>(model_spec::element_bytes(type) * height * width + 0.5);  // a half byte rounds up
  const std::size_t scales = (numbers + alignment - 1) / alignment * alignment;
  const std::shared_ptr<std::byte[]> memory(new std::byte[scales + static_cast<std::size_t>(model_spec::scale_bytes(type, height, width))]);
  std::byte* first_scale = model_spec::has_scales(type) ? memory.get() + scales : nullptr;
  return {.stored = {.type = type, .rows = rows, .columns = columns, .data = memory.get(), .scales = first_scale, .owner = memory},
          .view = {type, rows, columns, memory.get(), first_scale}};
}

Slice slice_of(const model_spec::Tensor& t, const model_spec::Layout& l, const model_spec::Place& p) {
  const bool expert = t.shard == Shard::expert_rows || t.shard == Shard::expert_columns;
  const auto ways = expert ? l.etp : l.tp, part = expert ? p.etp : p.tp;
  const auto rows = t.rows / ways, columns = t.columns / ways;
  switch (t.shard) {
    case Shard::replicated: break;
    case Shard::rows_tp:
    case Shard::expert_rows: return {.first_row = part * rows, .rows = rows, .columns = t.columns};
    case Shard::columns_tp:
    case Shard::expert_columns: return {.rows = t.rows, .first_column = part * columns, .columns = columns};
  }
  return {.rows = t.rows, .columns = t.columns};
}

std::string tensor_name(const model_spec::Tensor& t, std::int64_t layer, std::int64_t expert) {
  std::string name = t.name;
  fill_in(name, "{layer}", layer);
  fill_in(name, "{expert}", expert);
  return name;
}

StoredMatrix converted(const StoredMatrix& m, DType type) {
  assert(!model_spec::has_scales(type));
  if (m.type == type) return m;
  auto [stored, out] = new_matrix(type, m.rows, m.columns);
  kernels::cpu::parallel_for(m.rows, [&, view = m.view(), &out = out](std::int64_t r) {
    const auto row = kernels::cpu::load_row<float>(view.type(), view, r, view.columns());
    for (std::int64_t c = 0; c < view.columns(); ++c) out.set(r, c, row[static_cast<std::size_t>(c)]);
  });
  return stored;
}

}  // namespace fathom::executor
