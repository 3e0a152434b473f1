#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <numeric>

#include "model_spec/toml.h"

namespace fathom::model_spec {

namespace {

constexpr std::size_t max_reported_unknown_keys = 20;
constexpr std::size_t max_compared_length = 64;

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> older(b.size() + 1), old(b.size() + 1), now(b.size() + 1);
  std::iota(old.begin(), old.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool equal = lower(a[i - 1]) == lower(b[j - 1]);
      now[j] = std::min({old[j] + 1, now[j - 1] + 1, old[j - 1] + (equal ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) now[j] = std::min(now[j], older[j - 2] + 1);
    }
    std::swap(older, old);
    std::swap(old, now);
  }
  return old.back();
}

bool is_bare(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

// A key as it may stand in a message: quoted if it holds anything that could be mistaken.
std::string shown(std::string_view key) { return is_bare(key) ? std::string(key) : toml_string(key); }

std::string_view kind_of(const TomlValue& v) {
  constexpr std::string_view kinds[] = {"a boolean", "a whole number", "a number", "a string", "an array", "a table"};
  return kinds[v.data.index()];
}

std::string hint(std::string_view word, const std::vector<std::string>& candidates) {
  const auto near = nearest(word, candidates);
  return near ? fmt::format(" (did you mean '{}'?)", *near) : "";
}

template <class T>
std::string range_text(T least, T most, T open_end) {
  return most == open_end ? fmt::format("must be at least {}", least) : fmt::format("must lie between {} and {}", least, most);
}

const TomlEntry* entry_of(const TomlValue& table, std::string_view key) {
  const TomlTable* members = table.table();
  if (members == nullptr) return nullptr;
  const auto found = std::find_if(members->begin(), members->end(), [&](const TomlEntry& e) { return e.key == key; });
  return found == members->end() ? nullptr : &*found;
}

const TomlValue* element_of(const TomlValue& value, std::string_view index) {
  const TomlArray* elements = value.array();
  std::size_t i = 0;
  const auto [rest, error] = std::from_chars(index.data(), index.data() + index.size(), i);
  const bool whole = error == std::errc{} && rest == index.data() + index.size();
  return elements != nullptr && whole && i < elements->size() ? &(*elements)[i] : nullptr;
}

// Where a dotted key stands in a table, or where the last of its parts that exist does.
Position place_of(const TomlValue& table, std::string_view dotted) {
  if (const TomlEntry* direct = entry_of(table, dotted)) return direct->at;
  Position at = table.at;
  const TomlValue* value = &table;
  while (value != nullptr && !dotted.empty()) {
    const std::string_view part = dotted.substr(0, dotted.find('.'));
    dotted.remove_prefix(std::min(dotted.size(), part.size() + 1));
    if (const TomlEntry* entry = entry_of(*value, part)) {
      at = entry->at;
      value = &entry->value;
    } else {
      value = element_of(*value, part);
      if (value != nullptr) at = value->at;
    }
  }
  return at;
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.empty() || word.size() > max_compared_length) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    if (candidate.size() > max_compared_length) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

TomlReader::TomlReader(const TomlValue& table, std::string file, std::string path, Problems& problems)
    : table_(table), file_(std::move(file)), path_(std::move(path)), problems_(problems) {}

bool TomlReader::has(std::string_view key) const {
  if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) asked_.emplace_back(key);
  return table_.find(key) != nullptr;
}

const TomlValue* TomlReader::take(std::string_view key, bool required) {
  if (!has(key)) {
    if (required) problem(key, "is missing");
    return nullptr;
  }
  return table_.find(key);
}

std::string TomlReader::string(std::string_view key) { return take(key, true) != nullptr ? string_or(key, {}) : std::string(); }

std::string TomlReader::string_or(std::string_view key, std::string fallback) {
  const TomlValue* value = take(key, false);
  if (value == nullptr) return fallback;
  if (const auto* text = std::get_if<std::string>(&value->data)) return *text;
  problem(key, fmt::format("must be a string, not {}", kind_of(*value)));
  return fallback;
}

std::int64_t TomlReader::integer(std::string_view key, std::int64_t least, std::int64_t most) {
  return take(key, true) != nullptr ? integer_or(key, least, least, most) : least;
}

std::int64_t TomlReader::integer_or(std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most) {
  const TomlValue* value = take(key, false);
  if (value == nullptr) return fallback;
  const auto* n = std::get_if<std::int64_t>(&value->data);
  if (n == nullptr) {
    problem(key, fmt::format("must be a whole number, not {}", kind_of(*value)));
  } else if (*n < least || *n > most) {
    problem(key, fmt::format("{}, not {}", range_text(least, most, INT64_MAX), *n));
  } else {
    return *n;
  }
  return fallback;
}

double TomlReader::number(std::string_view key, double least, double most) { return take(key, true) != nullptr ? number_or(key, least, least, most) : least; }

double TomlReader::number_or(std::string_view key, double fallback, double least, double most) { return optional_number(key, least, most).value_or(fallback); }

std::optional<double> TomlReader::optional_number(std::string_view key, double least, double most) {
  const TomlValue* value = take(key, false);
  if (value == nullptr) return std::nullopt;
  const auto* whole = std::get_if<std::int64_t>(&value->data);
  const auto* real = std::get_if<double>(&value->data);
  if (whole == nullptr && real == nullptr) {
    problem(key, fmt::format("must be a number, not {}", kind_of(*value)));
    return std::nullopt;
  }
  const double v = whole != nullptr ? static_cast<double>(*whole) : *real;
  if (std::isfinite(v) && v >= least && v <= most) return v;
  problem(key, std::isfinite(v) ? fmt::format("{}, not {}", range_text(least, most, 1e300), v) : fmt::format("must be finite, not {}", v));
  return std::nullopt;
}

bool TomlReader::boolean(std::string_view key) { return take(key, true) != nullptr && boolean_or(key, false); }

bool TomlReader::boolean_or(std::string_view key, bool fallback) {
  const TomlValue* value = take(key, false);
  if (value == nullptr) return fallback;
  if (const auto* b = std::get_if<bool>(&value->data)) return *b;
  problem(key, fmt::format("must be true or false, not {}", kind_of(*value)));
  return fallback;
}

std::vector<std::string> TomlReader::strings(std::string_view key) { return take(key, true) != nullptr ? strings_or(key, {}) : std::vector<std::string>(); }

std::vector<std::string> TomlReader::strings_or(std::string_view key, std::vector<std::string> fallback) {
  const TomlValue* value = take(key, false);
  if (value == nullptr) return fallback;
  std::vector<std::string> out;
  const TomlArray* elements = value->array();
  for (std::size_t i = 0; elements != nullptr && i < elements->size(); ++i) {
    if (const auto* text = std::get_if<std::string>(&(*elements)[i].data)) out.push_back(*text);
  }
  if (elements != nullptr && out.size() == elements->size()) return out;
  problem(key, "must be an array of strings");
  return fallback;
}

std::vector<double> TomlReader::numbers(std::string_view key, double least, double most) {
  const TomlValue* value = take(key, true);
  if (value == nullptr) return {};
  std::vector<double> out;
  const TomlArray* elements = value->array();
  for (std::size_t i = 0; elements != nullptr && i < elements->size(); ++i) {
    const auto* whole = std::get_if<std::int64_t>(&(*elements)[i].data);
    const auto* real = std::get_if<double>(&(*elements)[i].data);
    const double v = whole != nullptr ? static_cast<double>(*whole) : real != nullptr ? *real : NAN;
    if (v >= least && v <= most && std::isfinite(v)) out.push_back(v);
  }
  if (elements != nullptr && out.size() == elements->size()) return out;
  problem(key, fmt::format("must be an array of numbers; each {}", range_text(least, most, 1e300)));
  return {};
}

std::size_t TomlReader::word(std::string_view key, const std::vector<std::string>& words) { return take(key, true) != nullptr ? word_or(key, words, 0) : 0; }

std::size_t TomlReader::word_or(std::string_view key, const std::vector<std::string>& words, std::size_t fallback) {
  if (!has(key)) return fallback;
  const std::size_t problems_before = problems_.lines().size();
  const std::string given = string_or(key, {});
  if (problems_.lines().size() > problems_before) return 0;
  const auto found = std::find(words.begin(), words.end(), given);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  std::string list;
  for (const auto& w : words) list += (list.empty() ? "" : ", ") + w;
  problem(key, fmt::format("{} is not one of {}{}", toml_string(given), list, hint(given, words)));
  return 0;
}

void TomlReader::table(std::string_view key, const std::function<void(TomlReader&)>& body) {
  if (take(key, true) != nullptr) table_if_any(key, body);
}

bool TomlReader::table_if_any(std::string_view key, const std::function<void(TomlReader&)>& body) {
  const TomlValue* value = take(key, false);
  if (value == nullptr) return false;
  if (value->table() == nullptr) {
    problem(key, fmt::format("must be a table, not {}", kind_of(*value)));
    return false;
  }
  TomlReader inner(*value, file_, path_.empty() ? shown(key) : path_ + "." + shown(key), problems_);
  body(inner);
  inner.finish();
  return true;
}

void TomlReader::tables(std::string_view key, const std::function<void(TomlReader&, std::size_t)>& body) {
  const TomlValue* value = take(key, false);
  if (value == nullptr) return;
  const TomlArray* elements = value->array();
  const bool all_tables = elements != nullptr && std::all_of(elements->begin(), elements->end(), [](const TomlValue& e) { return e.table() != nullptr; });
  if (!all_tables) return problem(key, fmt::format("must be an array of tables, written [[{}]]", key));
  for (std::size_t i = 0; i < elements->size(); ++i) {
    const std::string name = fmt::format("{}.{}", shown(key), i);
    TomlReader inner((*elements)[i], file_, path_.empty() ? name : path_ + "." + name, problems_);
    body(inner, i);
    inner.finish();
  }
}

std::vector<std::string> TomlReader::other_keys() const {
  std::vector<std::string> out;
  for (const auto& entry : *table_.table()) {
    if (std::find(asked_.begin(), asked_.end(), entry.key) == asked_.end()) out.push_back(entry.key);
  }
  return out;
}

void TomlReader::problem(std::string_view key, std::string_view message) {
  const Position at = place_of(table_, key);
  std::string name = path_;
  if (!key.empty()) name += (name.empty() ? "" : ".") + (entry_of(table_, key) != nullptr ? shown(key) : std::string(key));
  problems_.add(fmt::format("{}:{}:{}: {}{}{}", file_, at.line, at.column, name, name.empty() ? "" : ": ", message));
}

void TomlReader::finish() {
  const auto unknown = other_keys();
  for (std::size_t i = 0; i < std::min(unknown.size(), max_reported_unknown_keys); ++i)
    problem(unknown[i], "is not a key that is known here" + hint(unknown[i], asked_));
  if (unknown.size() > max_reported_unknown_keys) problem({}, fmt::format("{} more unknown keys", unknown.size() - max_reported_unknown_keys));
}

}  // namespace fathom::model_spec
