// What is shown, as a command for a terminal.
#pragma once

#include <string>

#include "gui/models/answer.h"

namespace fathom::gui {

// The `fathom estimate` that gives the same numbers: a flag for each setting that the document gives, --set where there is no flag. Quoted for a
// POSIX shell. Precondition: there is a scenario.
std::string command_line(const Answer&);

}  // namespace fathom::gui
