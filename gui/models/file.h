// Files that are whole or as they were.
#pragma once

#include <QString>

#include <string_view>

namespace fathom::gui {

// Writes all of a file or nothing. Throws model_spec::Error{io} "<path>: cannot be saved: <reason>".
void write_file(const QString& path, std::string_view bytes);
// The same for those who tell the user themselves: false, and *error says why.
bool try_to_write_file(const QString& path, std::string_view bytes, QString* error);

}  // namespace fathom::gui
