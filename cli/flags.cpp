#include "cli/flags.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>

extern char** environ;  // NOLINT: POSIX

namespace fathom::cli {
namespace {

struct Suffix {
  std::string_view text;
  double factor;
};
constexpr std::array<Suffix, 14> suffixes{{{"", 1},
                                           {"k", 1e3},
                                           {"K", 1e3},
                                           {"M", 1e6},
                                           {"G", 1e9},
                                           {"T", 1e12},
                                           {"Ki", 1024},
                                           {"Mi", 1048576},
                                           {"Gi", 1073741824},
                                           {"%", 0.01},
                                           {"s", 1},
                                           {"ms", 1e-3},
                                           {"us", 1e-6},
                                           {"min", 60}}};
constexpr double largest_whole = 9007199254740992;  // 2^53

[[noreturn]] void refuse(const std::string& origin, const std::string& message) { throw Error(Failure::usage, origin + ": " + message); }

std::string number_literal(const Flag& flag, const std::string& value, const std::string& origin) {
  const auto number = parse_quantity(value);
  if (!number) refuse(origin, fmt::format("'{}' is not a number; 4000, 4k, 128Ki, 0.9, 90% are", value));
  if (flag.values == Values::number) return toml_number(*number);
  if (*number != std::floor(*number) || std::abs(*number) > largest_whole) refuse(origin, fmt::format("'{}' is not a whole number", value));
  return std::to_string(static_cast<std::int64_t>(*number));
}

std::string word_literal(const Flag& flag, const std::string& value, const std::string& origin) {
  for (const auto choice : split(flag.words, '|')) {
    const auto parts = split(choice, '=');
    if (parts.front() == value) return toml_string(parts.back());
  }
  const auto words = typed_words(flag);
  const auto near = nearest(value, words);
  refuse(origin, fmt::format("'{}' is not one of {}{}", value, fmt::join(words, ", "), near ? fmt::format(" (did you mean '{}'?)", *near) : ""));
}

std::string literal(const Flag& flag, const std::string& value, const std::string& origin) {
  switch (flag.values) {
    case Values::none: return toml_string(flag.words);
    case Values::integer:
    case Values::number: return number_literal(flag, value, origin);
    case Values::word: return word_literal(flag, value, origin);
    case Values::text:
    case Values::optional_text: break;
  }
  return toml_string(value);
}

bool is_toml(const std::string& text) {
  try {
    const auto holder = parse_toml("value = " + text + "\n", "value");
    return holder.table()->size() == 1;
  } catch (const Error&) { return false; }
}

bool is_off(std::string_view value) { return value.empty() || value == "0" || value == "false" || value == "no"; }

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::vector<std::string> names_of(const Flag& flag) {
  const auto parts = split(flag.names, ',');
  return {parts.begin(), parts.end()};
}

std::string_view first_name(const Flag& flag) { return split(flag.names, ',').front().substr(2); }

std::vector<std::string> typed_words(const Flag& flag) {
  std::vector<std::string> out;
  for (const auto choice : split(flag.words, '|')) out.emplace_back(split(choice, '=').front());
  return out;
}

std::string environment_name(const Flag& flag) {
  std::string out = "FATHOM_";
  for (const char c : first_name(flag)) out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

std::optional<double> parse_quantity(std::string_view text) {
  std::string digits(text);
  std::erase(digits, '_');
  double number = 0;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || !std::isfinite(number)) return std::nullopt;
  const std::string_view suffix(rest, static_cast<std::size_t>(digits.data() + digits.size() - rest));
  const auto found = std::ranges::find(suffixes, suffix, &Suffix::text);
  if (found == suffixes.end()) return std::nullopt;
  const bool fraction = found->factor < 1;  // 1e-3 is not exact: 50 / 1000 rounds once, 50 * 1e-3 twice
  return fraction ? number / std::round(1 / found->factor) : number * found->factor;
}

std::vector<Setting> settings_of(const Flag& flag, const std::string& value, const std::string& origin) {
  std::vector<Setting> out;
  for (const auto key : split(flag.keys, ' ')) out.push_back({std::string(key), literal(flag, value, origin), origin});
  return out;
}

Setting setting_of(const std::string& assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) refuse("--set", fmt::format("'{}' is not KEY=VALUE", assignment));
  const auto key = assignment.substr(0, equals), value = assignment.substr(equals + 1);
  const auto origin = "--set " + key;
  if (is_toml(value)) return {key, value, origin};
  const auto number = parse_quantity(value);
  if (!number) return {key, toml_string(value), origin};
  const bool whole = *number == std::floor(*number) && std::abs(*number) <= largest_whole;
  return {key, whole ? std::to_string(static_cast<std::int64_t>(*number)) : toml_number(*number), origin};
}

std::vector<Setting> environment_settings(std::vector<std::string>& remarks) {
  std::vector<Setting> out;
  std::vector<std::string> known;
  for (const auto& flag : flags()) {
    if (flag.keys.empty()) continue;
    known.push_back(environment_name(flag));
    const char* value = std::getenv(known.back().c_str());
    if (value == nullptr || (flag.values == Values::none && is_off(value))) continue;
    std::ranges::move(settings_of(flag, value, known.back()), std::back_inserter(out));
  }
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string name(std::string_view(*entry).substr(0, std::string_view(*entry).find('=')));
    if (!name.starts_with("FATHOM_") || std::ranges::find(known, name) != known.end()) continue;
    if (const auto near = nearest(name, known)) remarks.push_back(fmt::format("{} is not a variable that is known (did you mean {}?)", name, *near));
  }
  std::ranges::sort(remarks);
  return out;
}

}  // namespace fathom::cli
