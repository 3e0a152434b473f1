// Reading the command line. CLI11 is used in app.cpp only.
#pragma once

#include <string>
#include <vector>

#include "cli/request.h"

namespace fathom::cli {

// Throws Error{usage} with the nearest verb, flag or word for what is not known.
Request parse_command_line(const std::vector<std::string>& arguments);

}  // namespace fathom::cli
