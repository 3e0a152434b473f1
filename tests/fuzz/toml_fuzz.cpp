// The first line of the input is "key literal"; the rest is a TOML file in which that key is set. Whatever the bytes: an Error, or a
// result that differs from the file in nothing but that.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model_spec/toml.h"

namespace {

using namespace fathom::model_spec;

// Whether every value of `before` still stands in `after`, except for the member called `edited`.
bool is_kept(const TomlValue& before, const TomlValue& after, std::string_view edited) {
  if (before.table() == nullptr) return before.data.index() == after.data.index();
  for (const auto& entry : *before.table()) {
    if (entry.key == edited) continue;
    const TomlValue* kept = after.find(entry.key);
    if (kept == nullptr || !is_kept(entry.value, *kept, {})) return false;
  }
  return true;
}

void read_everything(const TomlValue& root) {
  Problems problems;
  TomlReader in(root, "fuzz.toml", "", problems);
  for (const auto& key : in.other_keys()) {
    in.integer_or(key, 0);
    in.optional_number(key);
    in.strings_or(key, {});
    in.word_or(key, {"one", "two"}, 0);
    in.table_if_any(key, [](TomlReader&) {});
    in.tables(key, [](TomlReader&, std::size_t) {});
  }
  in.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view first = input.substr(0, input.find('\n'));
  const std::string_view key = first.substr(0, first.find(' '));
  const std::string_view literal = first.substr(std::min(first.size(), key.size() + 1));
  const std::string_view text = input.substr(std::min(size, first.size() + 1));
  try {
    const TomlValue before = parse_toml(text, "fuzz.toml");
    read_everything(before);
    const TomlValue after = parse_toml(edit_toml(text, key, literal, "fuzz.toml"), "edited.toml");
    if (!is_kept(before, after, key.substr(0, key.find('.')))) std::abort();
  } catch (const Error&) {}
  return 0;
}
