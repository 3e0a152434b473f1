// What leaves the program.
#pragma once

#include <string>
#include <string_view>

#include "cli/request.h"
#include "simulator/report.h"

namespace fathom::cli {

// The report in the format that was asked for.
std::string rendered(const Report&, const Request&);

// Throws Error{io} if write_file() could not write there, as far as can be told before there is something to write.
void check_writable(const std::string& path);
// Writes beside the file, flushes, and renames: a reader never sees half of it. Throws Error{io}.
void write_file(const std::string& path, std::string_view text);
// Throws Error{io}; a reader that has gone (a closed pipe) is no error.
void write_stdout(std::string_view text);

}  // namespace fathom::cli
