// TOML in, as a tree that remembers where every value stands, and a strict reader over it. toml++ is used in toml.cpp only.
// Every file the project reads or ships (model specs, hardware profiles, calibrations, scenarios) goes through here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model_spec/error.h"

namespace fathom::model_spec {

struct Position {
  int line = 0;    // from 1; 0 = not from a file
  int column = 0;  // from 1, in code points
};

struct TomlValue;
struct TomlEntry;
using TomlArray = std::vector<TomlValue>;
using TomlTable = std::vector<TomlEntry>;  // in file order

struct TomlValue {
  std::variant<bool, std::int64_t, double, std::string, TomlArray, TomlTable> data;
  Position at;   // where the value begins
  Position end;  // one past its last character; {0,0} for a table opened by a [header]
  [[nodiscard]] const TomlTable* table() const;
  [[nodiscard]] const TomlArray* array() const;
  [[nodiscard]] const TomlValue* find(std::string_view key) const;  // member of a table, or null
};

struct TomlEntry {
  std::string key;
  Position at;  // where the key stands
  TomlValue value;
};

// Parses `text`; `file` names it in errors. Throws Error{bad_file} "file:line:column: ..." for a syntax error or more than 16 MiB.
TomlValue parse_toml(std::string_view text, const std::string& file);
// Reads and parses a file. Throws Error{io} if it cannot be read.
TomlValue parse_toml_file(const std::string& path);
std::string read_text_file(const std::string& path);

// Replaces (or adds, in the table it belongs to) the value at a dotted key ("model.index_topk", "layers.0.repeat") in `text` by the
// TOML literal `literal`, and leaves every other byte, comments included, as it is. The result is parsed again: all else must be equal.
std::string edit_toml(std::string_view text, std::string_view dotted_key, std::string_view literal, const std::string& file);
// Removes the assignment of a dotted key: its lines with the comment behind it, or inside an inline table the key with its comma. All else stays as
// it is, the [header] of a table that is now empty too; the result is parsed again. A key that is absent leaves the text as it is.
std::string erase_toml(std::string_view text, std::string_view dotted_key, const std::string& file);

// Quotes a string as a TOML basic string. Doubles are written so that they read back the same, always with '.', 'e', "inf" or "nan".
std::string toml_string(std::string_view s);
std::string toml_number(double v);

// The candidate nearest to `word` by edit distance (case ignored), if near enough to be a plausible slip.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

// Strict reader of one table. Ask for every key that may stand there; finish() reports the keys nobody asked for, each with the nearest
// that was. Problems are gathered, not thrown: a getter that fails returns its fallback. Key paths in messages are dotted.
class TomlReader {
 public:
  TomlReader(const TomlValue& table, std::string file, std::string path, Problems& problems);

  [[nodiscard]] bool has(std::string_view key) const;

  // Required values. Numbers must lie in [least, most].
  std::string string(std::string_view key);
  std::int64_t integer(std::string_view key, std::int64_t least = 0, std::int64_t most = INT64_MAX);
  double number(std::string_view key, double least = 0, double most = 1e300);
  bool boolean(std::string_view key);
  std::vector<std::string> strings(std::string_view key);
  std::vector<double> numbers(std::string_view key, double least = 0, double most = 1e300);

  // Optional values: the fallback stands when the key is absent.
  std::string string_or(std::string_view key, std::string fallback);
  std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t least = 0, std::int64_t most = INT64_MAX);
  double number_or(std::string_view key, double fallback, double least = 0, double most = 1e300);
  std::optional<double> optional_number(std::string_view key, double least = 0, double most = 1e300);
  bool boolean_or(std::string_view key, bool fallback);
  std::vector<std::string> strings_or(std::string_view key, std::vector<std::string> fallback);

  // One of the given words; a wrong one is reported with the nearest and the list. Returns its index, or 0 after a problem.
  std::size_t word(std::string_view key, const std::vector<std::string>& words);
  std::size_t word_or(std::string_view key, const std::vector<std::string>& words, std::size_t fallback);

  // Sub-tables: `body` reads one; its unknown keys are reported when it returns. An absent optional table does not call it.
  void table(std::string_view key, const std::function<void(TomlReader&)>& body);
  bool table_if_any(std::string_view key, const std::function<void(TomlReader&)>& body);
  // Array of tables ([[key]]): one call per element. Absent counts as empty.
  void tables(std::string_view key, const std::function<void(TomlReader&, std::size_t index)>& body);
  // Every key of this table not asked for by name (for tables whose keys are data), in file order.
  std::vector<std::string> other_keys() const;

  // Adds "file:line:column: path.key: message" at the place of the key (or of the table if the key is absent).
  void problem(std::string_view key, std::string_view message);
  void finish();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  const TomlValue* take(std::string_view key, bool required);
  const TomlValue& table_;
  std::string file_, path_;
  Problems& problems_;
  mutable std::vector<std::string> asked_;
};

}  // namespace fathom::model_spec
