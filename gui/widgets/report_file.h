// An answer as a file for others.
#pragma once

#include <QByteArray>
#include <QString>

#include <utility>
#include <vector>

#include "gui/models/answer.h"

namespace fathom::gui {

// HTML, PDF, Markdown, CSV or JSON by the suffix of `path`; pictures: (title, PNG), for HTML and PDF. Throws model_spec::Error{io}, and
// Error{usage} for another suffix.
void write_report_file(const QString& path, const Answer& answer, const std::vector<std::pair<QString, QByteArray>>& pictures);

}  // namespace fathom::gui
