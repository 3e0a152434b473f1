#include "executor/safetensors.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <functional>
#include <numeric>
#include <optional>

#include "executor/strict_json.h"

namespace fathom::executor {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the format is little-endian, and so are its readers here");

constexpr std::size_t length_bytes = 8;  // of the number before the header
// The format's own limit of a header, in place of one of keys; an entry's lists lie three brackets deep.
constexpr JsonBounds bounds{.bytes = 100'000'000, .nesting = 4, .keys = 100'000'000};
constexpr std::string_view metadata_key = "__metadata__";

struct TypeName {
  FileType type;
  std::string_view name;
  std::int64_t bytes;
};
constexpr std::array<TypeName, 8> types{{{FileType::f32, "F32", 4},
                                         {FileType::bf16, "BF16", 2},
                                         {FileType::f16, "F16", 2},
                                         {FileType::f8_e4m3, "F8_E4M3", 1},
                                         {FileType::i64, "I64", 8},
                                         {FileType::i32, "I32", 4},
                                         {FileType::u8, "U8", 1},
                                         {FileType::boolean, "BOOL", 1}}};

// Throws errors about one tensor (or the header itself). A name is cut where it would fill the screen.
struct Refuse {
  const std::string& file;
  std::string_view tensor;
  [[noreturn]] void operator()(std::string_view message) const { refuse(file, fmt::format("{:.200}", tensor), message); }
};

// Errors name tensors, and an error is one line.
bool is_control(char c) { return static_cast<unsigned char>(c) < ' '; }

std::string_view header_text(std::span<const std::byte> start, std::uint64_t file_bytes, const Refuse& at) {
  if (file_bytes < length_bytes) at(fmt::format("the file has only {} bytes", file_bytes));
  assert(start.size() >= length_bytes);
  std::uint64_t length = 0;
  std::memcpy(&length, start.data(), length_bytes);
  if (length > bounds.bytes) at(fmt::format("would have {} bytes, more than the {} of the format: is this a safetensors file?", length, bounds.bytes));
  if (length > file_bytes - length_bytes) at(fmt::format("should have {} bytes, but the file has only {} in all", length, file_bytes));
  assert(start.size() - length_bytes >= length);
  const std::string_view text(reinterpret_cast<const char*>(start.data()) + length_bytes, length);
  if (!text.starts_with('{')) at("does not begin with a brace: is this a safetensors file?");
  if (text.find('\0') != std::string_view::npos) at("holds a zero byte");  // where the parser would stop
  return text;
}

std::uint64_t read_whole(const json& value, std::string_view key, const Refuse& at) {
  constexpr std::uint64_t most = INT64_MAX;
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) at(fmt::format("{} must hold whole numbers of 0 or more", key));
  return value.get<std::uint64_t>();
}

FileType read_type(const json& value, const Refuse& at) {
  if (!value.is_string()) at("dtype must be a string");
  const auto& name = value.get_ref<const std::string&>();
  const auto* found = std::ranges::find(types, name, &TypeName::name);
  if (found == types.end()) at(fmt::format("dtype {:.60} is not understood", value.dump()));
  return found->type;
}

// The bytes that a tensor of this shape takes, unless they overflow.
std::optional<std::int64_t> bytes_of(const TensorEntry& entry) {
  std::int64_t bytes = bytes_of(entry.type);
  for (const std::int64_t extent : entry.shape)
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return std::nullopt;
  return bytes;
}

// {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
TensorEntry read_entry(const json& value, std::uint64_t data_bytes, const Refuse& at) {
  if (!value.is_object()) at("must be an object with dtype, shape and data_offsets");
  for (const auto key : {"dtype", "shape", "data_offsets"})
    if (!value.contains(key)) at(fmt::format("{} is missing", key));
  if (value.size() > 3) at("only dtype, shape and data_offsets are understood");
  TensorEntry entry{.type = read_type(value["dtype"], at), .shape = {}};
  if (!value["shape"].is_array()) at("shape must be a list");
  for (const json& extent : value["shape"]) entry.shape.push_back(static_cast<std::int64_t>(read_whole(extent, "shape", at)));
  const json& offsets = value["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2) at("data_offsets must be a list of two");
  entry.begin = read_whole(offsets[0], "data_offsets", at);
  entry.end = read_whole(offsets[1], "data_offsets", at);
  if (entry.begin > entry.end) at(fmt::format("data_offsets are reversed: {} to {}", entry.begin, entry.end));
  if (entry.end > data_bytes) at(fmt::format("ends at byte {} of the data, but the file holds only {}: is it cut off?", entry.end, data_bytes));
  const auto bytes = bytes_of(entry);
  if (!bytes) at("its shape has more elements than can be counted");
  const std::uint64_t given = entry.end - entry.begin;
  if (static_cast<std::uint64_t>(*bytes) != given) at(fmt::format("its shape takes {} bytes, its data_offsets span {}", *bytes, given));
  return entry;
}

std::map<std::string, std::string> read_metadata(const json& value, const Refuse& at) {
  if (!value.is_object()) at("must be an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) at("must hold strings only");
    metadata.emplace(key, text.get<std::string>());
  }
  return metadata;
}

// Every byte of the data belongs to one tensor.
void check_offsets(const SafetensorsHeader& header, std::uint64_t data_bytes, const std::string& file) {
  using Item = decltype(header.tensors)::value_type;
  std::vector<const Item*> items;
  for (const auto& item : header.tensors) items.push_back(&item);
  std::ranges::sort(items, {}, [](const Item* i) { return std::pair(i->second.begin, i->second.end); });
  std::uint64_t end = 0;
  for (const Item* item : items) {
    const std::uint64_t begin = item->second.begin;
    const Refuse at{file, item->first};
    if (begin < end) at(fmt::format("begins at byte {} of the data, inside the tensor before it, which ends at {}", begin, end));
    if (begin > end) at(fmt::format("begins at byte {} of the data, but the tensor before it ends at {}", begin, end));
    end = item->second.end;
  }
  if (end != data_bytes) Refuse{file, "header"}(fmt::format("the tensors end at byte {} of the data, but the file holds {}", end, data_bytes));
}

}  // namespace

std::string_view name_of(FileType type) { return types[static_cast<std::size_t>(type)].name; }
std::int64_t bytes_of(FileType type) { return types[static_cast<std::size_t>(type)].bytes; }

std::int64_t TensorEntry::elements() const { return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()); }

SafetensorsHeader parse_safetensors(std::span<const std::byte> start, std::uint64_t file_bytes, const std::string& file) {
  const std::string_view text = header_text(start, file_bytes, {file, "header"});
  const json root = parse_json<json>(text, file + ": header", bounds);
  SafetensorsHeader header{.tensors = {}, .metadata = {}, .data_begin = length_bytes + text.size()};
  const std::uint64_t data_bytes = file_bytes - header.data_begin;
  for (const auto& [name, value] : root.items()) {
    const Refuse at{file, name};
    if (std::ranges::any_of(name, is_control)) Refuse{file, "header"}("a name holds a control character");
    if (name == metadata_key) header.metadata = read_metadata(value, at);
    else header.tensors.emplace(name, read_entry(value, data_bytes, at));
  }
  check_offsets(header, data_bytes, file);
  return header;
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  SafetensorsFile file;
  file.path_ = path.string();
  file.file_ = map_file(path);
  file.header_ = parse_safetensors(file.file_.bytes, file.file_.bytes.size(), file.path_);
  return file;
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = header_.tensors.find(name);
  return found == header_.tensors.end() ? nullptr : &found->second;
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorEntry& entry) const {
  return file_.bytes.subspan(header_.data_begin + entry.begin, entry.end - entry.begin);
}

}  // namespace fathom::executor
