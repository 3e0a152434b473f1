// The safetensors format: 8 bytes little-endian length of a JSON header, the header ({name: {dtype, shape, data_offsets}}), the data.
// Nothing in a file is trusted: a header that does not describe its file exactly is an Error{bad_file} that names file and tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "executor/file.h"

namespace fathom::executor {

// Element types by the format's own names.
enum class FileType : std::uint8_t { f32, bf16, f16, f8_e4m3, i64, i32, u8, boolean };

struct TensorEntry {
  FileType type = FileType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;             // bytes in the data
  [[nodiscard]] std::int64_t elements() const;  // parse_safetensors has checked that it fits
};
std::string_view name_of(FileType);
std::int64_t bytes_of(FileType);

struct SafetensorsHeader {
  std::map<std::string, TensorEntry, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  // in the file
};
// `start`: the beginning of the file, at least its header; file_bytes: of the whole file. Checks length, JSON, types, shapes, offsets (in
// some order they leave no gap and no overlap, to the end of the file), duplicate names. Types of the format that FileType lacks and keys
// that are not known are refused by name.
SafetensorsHeader parse_safetensors(std::span<const std::byte> start, std::uint64_t file_bytes, const std::string& file);

// A file mapped into memory, read only. Copies share the mapping.
class SafetensorsFile {
 public:
  static SafetensorsFile open(const std::filesystem::path&);  // Throws Error{io} or {bad_file}
  [[nodiscard]] const SafetensorsHeader& header() const { return header_; }
  [[nodiscard]] const TensorEntry* find(std::string_view name) const;        // null if there is none
  [[nodiscard]] std::span<const std::byte> bytes(const TensorEntry&) const;  // at any alignment
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::shared_ptr<const void> mapping() const { return file_.owner; }

 private:
  std::string path_;
  SafetensorsHeader header_;
  MappedFile file_;
};

// safetensors_write.cpp. Writes a file tensor by tensor. Wide elements stand first, so that all are aligned, as other readers want them.
class SafetensorsWriter {
 public:
  // Names, types, shapes and metadata of `header`; its offsets are laid out here. Throws Error{io}, as the others do.
  SafetensorsWriter(const std::filesystem::path&, SafetensorsHeader header);
  void write(std::string_view name, std::span<const std::byte> data);  // a whole tensor, row-major; each once, in any order
  void finish();                                                       // without it, nothing stays

 private:
  SafetensorsHeader header_;
  NewFile file_;
};

// A tensor to write; `data` row-major, elements * bytes_of(type).
struct NamedTensor {
  std::string name;
  FileType type = FileType::f32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> data;
};
// Writes beside the file and renames: nothing half-written stays. Throws Error{io}.
void write_safetensors(const std::filesystem::path&, std::span<const NamedTensor>);

}  // namespace fathom::executor
