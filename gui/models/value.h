// What is in a value of many types.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "model_spec/toml.h"

namespace fathom::gui {

// A number, whole or not, of a Cell or of TomlValue::data.
template <class... Types>
std::optional<double> number_of(const std::variant<Types...>& v) {
  if (const auto* whole = std::get_if<std::int64_t>(&v)) return static_cast<double>(*whole);
  const auto* real = std::get_if<double>(&v);
  return real ? std::optional(*real) : std::nullopt;
}

// Of a TOML literal, as a Setting has it.
inline model_spec::TomlValue value_of(const std::string& literal) { return *model_spec::parse_toml("value = " + literal + "\n", "value").find("value"); }

}  // namespace fathom::gui
