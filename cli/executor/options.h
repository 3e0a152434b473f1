// Values of flags.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cli/request.h"

namespace fathom::cli {

// Nothing if the flag was not given. Throws Error{usage} for a value outside [least, most].
std::optional<double> number_option(const Request&, std::string_view name, double least, double most);
std::optional<std::int64_t> whole_option(const Request&, std::string_view name, std::int64_t least, std::int64_t most);

}  // namespace fathom::cli
