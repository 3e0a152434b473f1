#include "executor/checkpoint.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "executor/checkpoint_tensors.h"
#include "executor/strict_json.h"
#include "model_spec/toml.h"

namespace fathom::executor {
namespace {

using model_spec::Tensor;
using Found = Checkpoint::Found;
using Index = std::map<std::string, std::string>;  // of each tensor, the shard's file name

constexpr auto single_name = "model.safetensors";
constexpr auto index_name = "model.safetensors.index.json";

// A file of the folder itself: an index must not reach elsewhere.
bool is_plain(const std::string& name) {
  const bool readable = std::ranges::none_of(name, [](char c) { return static_cast<unsigned char>(c) < ' '; });
  return readable && !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

// {"metadata": {...}, "weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors", ...}}
Index read_index(const std::filesystem::path& path) {
  const std::string file = path.string();
  const MappedFile mapped = map_file(path);
  const std::string_view text(reinterpret_cast<const char*>(mapped.bytes.data()), mapped.bytes.size());
  // DeepSeek-V3.2's has 92 thousand names in 9 MB
  const auto root = parse_json<nlohmann::json>(text, file, {.bytes = 100'000'000, .nesting = 8, .keys = 10'000'000});
  const auto& map = Fields(root, file, "").get("weight_map");
  if (!map.is_object()) refuse(file, "weight_map", "must be an object");
  Index index;
  for (const auto& [name, shard] : map.items()) {
    if (!shard.is_string() || !is_plain(shard.get<std::string>())) refuse(file, name, "must name a file of this folder");
    index.emplace(name, shard.get<std::string>());
  }
  return index;
}

// Whether one of `count` numbers of a row is a NaN or an infinity: all bits of the mask are set. Without a way out of the loop it becomes
// vector code.
template <class Bits>
bool any_has_all(Bits mask, const std::byte* row, std::int64_t count) {
  Bits largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    Bits number;
    std::memcpy(&number, row + i * static_cast<std::int64_t>(sizeof(Bits)), sizeof(Bits));
    largest = std::max(largest, static_cast<Bits>(number & mask));
  }
  return largest == mask;
}
bool any_not_finite(DType type, const std::byte* row, std::int64_t count) {
  if (type == DType::fp32) return any_has_all<std::uint32_t>(0x7f800000, row, count);
  if (type == DType::bf16) return any_has_all<std::uint16_t>(0x7f80, row, count);
  return any_has_all<std::uint8_t>(0x7f, row, count);  // e4m3 has no infinity
}

// A slice in scales; blocks are not cut.
Slice in_blocks(const Slice& s) {
  constexpr std::int64_t b = model_spec::scale_block;
  assert(s.first_row % b == 0 && s.first_column % b == 0);
  return {.first_row = s.first_row / b, .rows = (s.rows + b - 1) / b, .first_column = s.first_column / b, .columns = (s.columns + b - 1) / b};
}

// A slice where it stands in the file: a row-major array with `stride` bytes from one row to the next.
struct Part {
  const std::byte* first = nullptr;
  std::int64_t stride = 0, row_bytes = 0, rows = 0;
  [[nodiscard]] bool is_whole() const { return stride == row_bytes; }
  void copy_to(std::byte* to) const {
    for (std::int64_t r = 0; r < rows; ++r) std::memcpy(to + r * row_bytes, first + r * stride, static_cast<std::size_t>(row_bytes));
  }
};
Part part_of(const Found& found, const Slice& s) {
  const std::int64_t columns = found.entry->shape.size() == 1 ? 1 : found.entry->shape[1], size = bytes_of(found.entry->type);
  const std::byte* all = found.file->bytes(*found.entry).data();
  const Part part{.first = all + (s.first_row * columns + s.first_column) * size, .stride = columns * size, .row_bytes = s.columns * size, .rows = s.rows};
  read_ahead({part.first, static_cast<std::size_t>((s.rows - 1) * part.stride + part.row_bytes)});
  return part;
}

StoredMatrix load_plain(const Found& data, const Slice& s) {
  const DType type = data.entry->type == FileType::f32 ? DType::fp32 : DType::bf16;
  const Part numbers = part_of(data, s);
  if (numbers.is_whole()) return {.type = type, .rows = s.rows, .columns = s.columns, .data = numbers.first, .owner = data.file->mapping()};
  const NewMatrix copy = new_matrix(type, s.rows, s.columns);
  numbers.copy_to(copy.view.data());
  return copy.stored;
}

StoredMatrix load_blocks(const Found& data, const Found& scales, const Slice& s) {
  const Part numbers = part_of(data, s), factors = part_of(scales, in_blocks(s));
  if (numbers.is_whole()) {
    const auto both = std::make_shared<std::array<std::shared_ptr<const void>, 2>>(std::array{data.file->mapping(), scales.file->mapping()});
    return {.type = DType::fp8_block, .rows = s.rows, .columns = s.columns, .data = numbers.first, .scales = factors.first, .owner = both};
  }
  const NewMatrix copy = new_matrix(DType::fp8_block, s.rows, s.columns);
  std::byte* const to = copy.view.data();
  numbers.copy_to(to);
  factors.copy_to(to + (copy.stored.scales - copy.stored.data));
  return copy.stored;
}

void check_numbers(const StoredMatrix& m, const Slice& s, const Found& found, const std::string& name) {
  const std::int64_t row_bytes = m.columns * bytes_of(found.entry->type);
  for (std::int64_t r = 0; r < m.rows; ++r) {
    if (any_not_finite(m.type, m.data + r * row_bytes, m.columns))
      refuse(found.file->path(), name, fmt::format("holds a NaN or an infinity in row {}", s.first_row + r));
  }
}

void check_scales(const StoredMatrix& m, const Slice& blocks, const Found& found, const std::string& name) {
  for (std::int64_t i = 0; i < blocks.rows * blocks.columns; ++i) {
    float scale = 0;
    std::memcpy(&scale, m.scales + i * static_cast<std::int64_t>(sizeof(scale)), sizeof(scale));
    if (std::isfinite(scale) && scale > 0) continue;
    refuse(found.file->path(), name,
           fmt::format("the scale [{}, {}] is {}", blocks.first_row + i / blocks.columns, blocks.first_column + i % blocks.columns, scale));
  }
}

}  // namespace

Checkpoint Checkpoint::open(const std::filesystem::path& folder) {
  Checkpoint c;
  c.folder_ = folder.string();
  const std::string config = (folder / "config.json").string();
  c.model_ = model_spec::read_hf_config(model_spec::read_text_file(config), config);
  Index index;
  std::set<std::string> shards{single_name};
  if (exists(folder / index_name)) {
    index = read_index(folder / index_name);
    shards.clear();
    for (const auto& [name, shard] : index) shards.insert(shard);
  }
  for (const auto& shard : shards) c.add(SafetensorsFile::open(folder / shard));
  for (const auto& [name, shard] : index) {
    const Found found = c.find(name);
    if (found.file == nullptr || found.file->path() != (folder / shard).string())
      refuse((folder / shard).string(), name, "is missing, but the index names it here");
  }
  return c;
}

void Checkpoint::add(SafetensorsFile file) {
  for (const auto& [name, entry] : file.header().tensors) {
    const auto [at, is_new] = where_.emplace(name, files_.size());
    if (!is_new) refuse(file.path(), name, fmt::format("stands in {} too", files_[at->second].path()));
  }
  files_.push_back(std::move(file));
}

Found Checkpoint::find(std::string_view name) const {
  const auto at = where_.find(name);
  if (at == where_.end()) return {};
  const SafetensorsFile& file = files_[at->second];
  return {.file = &file, .entry = file.find(name)};
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : where_) names.push_back(name);
  return names;
}

StoredMatrix Checkpoint::load(const Tensor& t, std::int64_t layer, std::int64_t expert, const Slice& s) const {
  assert(s.first_row >= 0 && s.rows > 0 && s.first_row + s.rows <= t.rows);
  assert(s.first_column >= 0 && s.columns > 0 && s.first_column + s.columns <= t.columns);
  const std::string name = tensor_name(t, layer, expert);
  const Found data = find(name), scales = is_quantised(t) ? find(scales_name(name)) : Found{};
  if (data.file == nullptr) {
    const auto table = tensor_table(model_);
    const Tensor* own = model_own(table, t);
    if (own == nullptr) refuse(folder_, name, "is missing");
    return load(*own, -1, -1, s);
  }
  if (const auto problem = mismatch(t, *data.entry, scales.entry); !problem.empty()) refuse(data.file->path(), name, problem);
  if (is_quantised(t) && scales.file == nullptr) refuse(folder_, scales_name(name), "is missing");
  const StoredMatrix m = is_quantised(t) ? load_blocks(data, scales, s) : load_plain(data, s);
  check_numbers(m, s, data, name);
  if (is_quantised(t)) check_scales(m, in_blocks(s), scales, scales_name(name));
  return m;
}

}  // namespace fathom::executor
