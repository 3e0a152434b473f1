// A file whose header reads is described exactly: every byte of its data belongs to one tensor.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "executor/safetensors.h"
#include "model_spec/error.h"

using namespace fathom::executor;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  SafetensorsHeader header;
  try {
    header = parse_safetensors(std::as_bytes(std::span(data, size)), size, "x");
  } catch (const fathom::model_spec::Error&) { return 0; }
  std::uint64_t bytes = 0;
  for (const auto& [name, entry] : header.tensors) {
    if (static_cast<std::uint64_t>(entry.elements() * bytes_of(entry.type)) != entry.end - entry.begin) std::abort();
    if (header.data_begin + entry.end > size) std::abort();
    bytes += entry.end - entry.begin;
  }
  if (header.data_begin + bytes != size) std::abort();
  return 0;
}
