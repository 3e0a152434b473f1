// A tokenizer.json that reads is a sound tokenizer: it encodes text and decodes it back, and decodes any ids to UTF-8.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "executor/tokenizer.h"
#include "model_spec/error.h"

using namespace fathom::executor;
using fathom::model_spec::Error;

namespace {

void check_round_trip(const Tokenizer& t, std::string_view text) {
  std::vector<std::int32_t> ids;
  try {
    ids = t.encode(text);
  } catch (const Error&) { return; }  // not UTF-8, or a regular expression that takes too long
  // Other text may hold an added token that is spelt with the characters which stand for bytes.
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii && t.decode(ids) != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const Tokenizer t = parse_tokenizer(text, "tokenizer.json");
    check_round_trip(t, text.substr(0, 300));
    check_round_trip(t, text.substr(size - std::min<std::size_t>(size, 300)));
    std::vector<std::int32_t> ids(std::min<std::size_t>(t.id_count(), 1000) + 2);
    std::iota(ids.begin(), ids.end(), -1);
    try {
      static_cast<void>(t.encode(t.decode(ids)));
    } catch (const Error& e) {
      if (e.failure() == fathom::model_spec::Failure::usage) std::abort();  // decode() gave what is not UTF-8
    }
  } catch (const Error&) {}
  return 0;
}
