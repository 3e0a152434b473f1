// The answer as a page to print, to send, to file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gui/models/answer.h"

namespace fathom::gui {

// A page of its own, without anything from elsewhere but the figures: title and source (data: or a file) of each. Its markup is plain enough for
// QTextDocument. The same answer always gives the same bytes.
std::string report_html(const Answer&, const std::vector<std::pair<std::string, std::string>>& figures);

}  // namespace fathom::gui
