// An answer as a file for others.
#pragma once

#include <QByteArray>
#include <QString>

#include <functional>
#include <utility>
#include <vector>

#include "gui/models/answer.h"

class QTextDocument;

namespace fathom::gui {

using Pictures = std::vector<std::pair<QString, QByteArray>>;  // (title, PNG)

// A report (models/report_html.h) in the fonts in which it is printed.
void set_report(QTextDocument& document, const std::string& html);

// HTML, PDF, Markdown, CSV or JSON by the suffix of `path`; `pictures` is asked for HTML and PDF only. Throws model_spec::Error{io}, and
// Error{usage} for another suffix.
void write_report_file(const QString& path, const Answer& answer, const std::function<Pictures()>& pictures);

}  // namespace fathom::gui
