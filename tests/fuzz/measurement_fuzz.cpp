// Measurements that read are sound, and read back the same from what is written of them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hardware_profiles/measurement.h"
#include "model_spec/error.h"

using namespace fathom::hardware_profiles;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Measurements m;
  try {
    m = read_measurements({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
  } catch (const Error&) { return 0; }
  for (const auto& one : m.all)
    if (one.n < 1 || one.covers.empty() || one.p10 > one.median || one.p90 < one.median || one.p10 <= Seconds{}) std::abort();
  const std::string text = write_measurements(m);
  if (write_measurements(read_measurements(text, "written.toml")) != text) std::abort();
  return 0;
}
