#include "gui/widgets/report_file.h"

#include <QBuffer>
#include <QFileInfo>
#include <QPageSize>
#include <QPdfWriter>
#include <QTextDocument>
#include <QTextOption>

#include <fmt/format.h>

#include "gui/models/file.h"
#include "gui/models/report_html.h"
#include "model_spec/error.h"

namespace fathom::gui {
namespace {

std::string html(const Answer& answer, const Pictures& pictures) {
  std::vector<std::pair<std::string, std::string>> figures;
  for (const auto& [title, png] : pictures) figures.emplace_back(title.toStdString(), "data:image/png;base64," + png.toBase64().toStdString());
  return report_html(answer, figures);
}

std::string pdf(const std::string& page) {
  QByteArray bytes;
  QBuffer buffer(&bytes);
  buffer.open(QIODevice::WriteOnly);
  QPdfWriter writer(&buffer);
  writer.setPageSize(QPageSize(QPageSize::A4));
  writer.setPageMargins({});  // QTextDocument leaves 2 cm on each side
  writer.setTitle(QStringLiteral("Fathom report"));
  QTextDocument document;
  set_report(document, page);
  document.print(&writer);
  buffer.close();
  return bytes.toStdString();
}

}  // namespace

void set_report(QTextDocument& document, const std::string& html) {
  QTextOption words;
  words.setWrapMode(QTextOption::WordWrap);  // or narrow columns would cut names
  document.setDefaultFont(QFont(QStringLiteral("Sans Serif"), 9));
  document.setDefaultTextOption(words);
  document.setHtml(QString::fromStdString(html));
}

void write_report_file(const QString& path, const Answer& answer, const std::function<Pictures()>& pictures) {
  if (!answer.estimate) throw model_spec::Error(model_spec::Failure::bad_file, "nothing to report: " + answer.nothing(PhaseName::decode));
  const auto suffix = QFileInfo(path).suffix().toLower();
  if (suffix == QStringLiteral("html")) write_file(path, html(answer, pictures()));
  else if (suffix == QStringLiteral("pdf")) write_file(path, pdf(html(answer, pictures())));
  else if (suffix == QStringLiteral("md")) write_file(path, to_markdown(answer.report));
  else if (suffix == QStringLiteral("csv")) write_file(path, to_csv(answer.report));
  else if (suffix == QStringLiteral("json")) write_file(path, to_json(answer.report));
  else throw model_spec::Error(model_spec::Failure::usage, fmt::format("{}: a report is .pdf, .html, .md, .csv or .json", path.toStdString()));
}

}  // namespace fathom::gui
