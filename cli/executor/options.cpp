#include "cli/executor/options.h"

#include <fmt/format.h>

#include "cli/flags.h"

namespace fathom::cli {

std::optional<double> number_option(const Request& request, std::string_view name, double least, double most) {
  if (!request.has(name)) return std::nullopt;
  const auto value = parse_quantity(request.option(name));
  if (value && *value >= least && *value <= most) return value;
  throw Error(Failure::usage, fmt::format("--{}: '{}' does not lie between {} and {}", name, request.option(name), least, most));
}

// The command line's reader has seen to it that the value is whole.
std::optional<std::int64_t> whole_option(const Request& request, std::string_view name, std::int64_t least, std::int64_t most) {
  const auto value = number_option(request, name, static_cast<double>(least), static_cast<double>(most));
  return value ? std::optional(static_cast<std::int64_t>(*value)) : std::nullopt;
}

}  // namespace fathom::cli
