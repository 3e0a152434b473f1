// A config.json that reads is a sound model, which can be written as a spec and read back the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model_spec/error.h"
#include "model_spec/model.h"

using namespace fathom::model_spec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ModelSpec m;
  try {
    m = read_hf_config({reinterpret_cast<const char*>(data), size}, "config.json");
  } catch (const Error&) { return 0; }
  if (!check(m).empty() || layer_runs(m).empty()) std::abort();
  const std::string text = write_model_toml(m);
  if (write_model_toml(read_model_toml(text, "written.toml")) != text) std::abort();
  return 0;
}
