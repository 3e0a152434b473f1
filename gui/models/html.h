// HTML of the kind that QTextDocument knows.
#pragma once

#include <string>
#include <string_view>

namespace fathom::gui {

std::string escaped_html(std::string_view text);

}  // namespace fathom::gui
