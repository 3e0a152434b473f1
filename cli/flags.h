// The verbs and flags of the program as data. Parsing, help, completion and the environment all read these tables.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/request.h"

namespace fathom::cli {

enum class Values : std::uint8_t { none, integer, number, text, word, optional_text };

struct Flag {
  std::string_view names;  // "--isl,--input-len": the first is ours, the others are those of other tools
  Values values;
  std::string_view shown;  // what help calls the value
  std::string_view keys;   // scenario keys that it sets, separated by spaces; empty: the verb reads it
  std::string_view words;  // of a word: "fp8=fp8_block|int8"; typed=meant. Of a switch with keys: the word that is meant
  std::string_view group;  // of help
  std::string_view help;
  std::string_view verbs;   // that take it, separated by commas; empty: all with a scenario; "*": all that have none of this name for themselves
  bool repeatable = false;  // every use counts, not the last
};

struct Verb {
  std::string_view name;       // "spec show"
  std::string_view arguments;  // "[SCENARIO.toml]"
  std::string_view summary;
  std::string_view about;     // paragraphs
  std::string_view examples;  // lines
  bool scenario = true;       // reads a scenario and takes its flags
  std::size_t most_arguments = 1;
  std::string_view flags{};  // without a scenario: those of its flags that it takes, by first name, separated by commas
};

std::span<const Flag> flags();
std::span<const Verb> verbs();
const Verb* find_verb(std::string_view name);
bool takes(const Verb&, const Flag&);

std::string_view first_name(const Flag&);        // without dashes
std::vector<std::string> names_of(const Flag&);  // with dashes
std::vector<std::string> typed_words(const Flag&);
std::string environment_name(const Flag&);  // FATHOM_ISL
std::vector<std::string_view> split(std::string_view text, char separator);

// 4k, 128Ki, 1.5M, 90%, 50ms (in seconds), 250us, 1e9; nothing if it is none.
std::optional<double> parse_quantity(std::string_view text);

// The settings that a flag makes, its value as TOML. Throws Error{usage} naming `origin` for a value that the flag does not take.
std::vector<Setting> settings_of(const Flag&, const std::string& value, const std::string& origin);
// KEY=VALUE of --set. A value that is not TOML is taken as a quantity, else as text.
Setting setting_of(const std::string& assignment);
// FATHOM_* variables; `remarks` gets those that look like slips.
std::vector<Setting> environment_settings(std::vector<std::string>& remarks);

}  // namespace fathom::cli
