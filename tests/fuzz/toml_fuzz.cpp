// The first line of the input is "key literal"; the rest is a TOML file in which that key is set, and removed. Whatever the bytes: an Error, or
// a result that differs from the file in nothing but that.
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

void set(const TomlValue& before, std::string_view text, std::string_view key, std::string_view literal) {
  const TomlValue after = parse_toml(edit_toml(text, key, literal, "fuzz.toml"), "edited.toml");
  if (!is_kept(before, after, key.substr(0, key.find('.')))) std::abort();
}

void erase(const TomlValue& before, std::string_view text, std::string_view key) {
  const auto erased = erase_toml(text, key, "fuzz.toml");
  if (!is_kept(before, parse_toml(erased, "erased.toml"), key.substr(0, key.find('.')))) std::abort();
  if (erase_toml(erased, key, "erased.toml") != erased) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view first = input.substr(0, input.find('\n'));
  const std::string_view key = first.substr(0, first.find(' '));
  const std::string_view literal = first.substr(std::min(first.size(), key.size() + 1));
  const std::string_view text = input.substr(std::min(size, first.size() + 1));
  TomlValue before;
  try {
    before = parse_toml(text, "fuzz.toml");
  } catch (const Error&) { return 0; }
  read_everything(before);
  for (const auto& change : {std::function([&] { set(before, text, key, literal); }), std::function([&] { erase(before, text, key); })}) {
    try {
      change();
    } catch (const Error&) {}
  }
  return 0;
}
