#include "executor/file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "model_spec/error.h"

namespace fathom::executor {
namespace {

using model_spec::Error;
using model_spec::Failure;

[[noreturn]] void fail(const std::string& path, int error) { throw Error(Failure::io, fmt::format("{}: {}", path, std::strerror(error))); }

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

}  // namespace

MappedFile map_file(const std::filesystem::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (file.number < 0 || ::fstat(file.number, &status) != 0) fail(path.string(), errno);
  if (!S_ISREG(status.st_mode)) throw Error(Failure::io, fmt::format("{}: is not a file", path.string()));
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {};  // mmap refuses it
  void* const first = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
  if (first == MAP_FAILED) fail(path.string(), errno);
  std::shared_ptr<const void> owner(first, [size](void* mapped) { ::munmap(mapped, size); });
  return {.owner = std::move(owner), .bytes = {static_cast<const std::byte*>(first), size}};
}

void read_ahead(std::span<const std::byte> part) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto skipped = reinterpret_cast<std::uintptr_t>(part.data()) % page;
  ::madvise(const_cast<std::byte*>(part.data() - skipped), part.size() + skipped, MADV_WILLNEED);  // only advice: a failure changes nothing
}

NewFile::NewFile(const std::filesystem::path& path) : path_(path.string()), beside_(path_ + ".tmp") {
  descriptor_ = ::open(beside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(beside_, errno);
}

NewFile::~NewFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(beside_.c_str());
}

void NewFile::write(std::uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const auto n = ::pwrite(descriptor_, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_, errno);
    offset += static_cast<std::uint64_t>(n);
    data = data.subspan(static_cast<std::size_t>(n));
  }
}

void NewFile::finish() {
  if (::fsync(descriptor_) != 0 || std::rename(beside_.c_str(), path_.c_str()) != 0) fail(path_, errno);
  ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace fathom::executor
