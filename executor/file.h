// Files as the executor reads and writes them: read by mapping, written beside their name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace fathom::executor {

// A regular file in memory, read only. That it shrinks while it is mapped is not provided for.
struct MappedFile {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};
MappedFile map_file(const std::filesystem::path&);  // Throws Error{io}

// A part of a mapped file that will be read next, from its first to its last byte.
void read_ahead(std::span<const std::byte> part);

// A file that gets its name when it is whole: until finish() it is "<name>.tmp", and it is removed if finish() is not reached.
class NewFile {
 public:
  explicit NewFile(const std::filesystem::path&);  // Throws Error{io}, as the others do
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile();
  void write(std::uint64_t offset, std::span<const std::byte> data);
  void finish();

 private:
  std::string path_, beside_;
  int descriptor_ = -1;
};

}  // namespace fathom::executor
