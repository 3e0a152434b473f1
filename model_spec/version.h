// Which version of the program this is.
#pragma once

#include <string_view>

namespace fathom {

std::string_view version();         // "0.1.0"
std::string_view version_commit();  // git describe of the sources when they were last configured; empty outside a checkout

}  // namespace fathom
