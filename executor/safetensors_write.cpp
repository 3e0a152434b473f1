#include <algorithm>
#include <cassert>
#include <nlohmann/json.hpp>

#include "executor/safetensors.h"

namespace fathom::executor {
namespace {

// Fills in the offsets.
void lay_out(SafetensorsHeader& header) {
  std::vector<TensorEntry*> entries;
  for (auto& [name, entry] : header.tensors) entries.push_back(&entry);
  std::ranges::stable_sort(entries, std::ranges::greater{}, [](const TensorEntry* e) { return bytes_of(e->type); });
  std::uint64_t end = 0;
  for (TensorEntry* entry : entries) {
    entry->begin = end;
    entry->end = end += static_cast<std::uint64_t>(entry->elements() * bytes_of(entry->type));
  }
}

// Length and JSON. Spaces after it, which the format allows, align the data for every type.
std::string text_of(const SafetensorsHeader& header) {
  constexpr std::size_t alignment = 8;
  nlohmann::ordered_json root;
  root["__metadata__"] = header.metadata;
  for (const auto& [name, entry] : header.tensors)
    root[name] = {{"dtype", name_of(entry.type)}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
  std::string json = root.dump();
  json.append((alignment - json.size() % alignment) % alignment, ' ');
  const std::uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + json;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, SafetensorsHeader header) : header_(std::move(header)), file_(path) {
  lay_out(header_);
  const std::string text = text_of(header_);
  header_.data_begin = text.size();
  file_.write(0, std::as_bytes(std::span(text)));
}

void SafetensorsWriter::write(std::string_view name, std::span<const std::byte> data) {
  const auto found = header_.tensors.find(name);
  assert(found != header_.tensors.end() && data.size() == found->second.end - found->second.begin);
  file_.write(header_.data_begin + found->second.begin, data);
}

void SafetensorsWriter::finish() { file_.finish(); }

void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors) {
  SafetensorsHeader header{.tensors = {}, .metadata = {{"format", "pt"}}};
  for (const auto& t : tensors) {
    const bool is_new = header.tensors.emplace(t.name, TensorEntry{.type = t.type, .shape = t.shape}).second;
    assert(is_new && "names are unique");
    static_cast<void>(is_new);
  }
  SafetensorsWriter writer(path, std::move(header));
  for (const auto& t : tensors) writer.write(t.name, t.data);
  writer.finish();
}

}  // namespace fathom::executor
