#include "gui/widgets/picture.h"

#include <QBuffer>
#include <QFileInfo>
#include <QMessageBox>
#include <QPageLayout>
#include <QPageSize>
#include <QPdfWriter>
#include <QSvgGenerator>

#include "gui/models/file.h"
#include "gui/widgets/save_dialog.h"

namespace fathom::gui {
namespace {

constexpr int screen_dpi = 96;  // Qt's other default, 72, would shrink the text of vector pictures

void write_svg(QIODevice& file, const Picture& p) {
  QSvgGenerator svg;
  svg.setOutputDevice(&file);
  svg.setResolution(screen_dpi);
  svg.setSize(p.size.toSize());
  svg.setViewBox(QRectF({}, p.size));
  svg.setTitle(p.title);
  p.paint(svg);
}

void write_pdf(QIODevice& file, const Picture& p) {
  QPdfWriter pdf(&file);
  pdf.setTitle(p.title);
  pdf.setResolution(screen_dpi);
  pdf.setPageLayout({QPageSize(p.size * 72 / screen_dpi, QPageSize::Point, {}, QPageSize::ExactMatch), QPageLayout::Portrait, {}});
  p.paint(pdf);
}

}  // namespace

QImage image_of(const Picture& p) {
  constexpr int scale = 2;
  QImage image((p.size * scale).toSize(), QImage::Format_ARGB32_Premultiplied);
  image.setDevicePixelRatio(scale);
  image.fill(Qt::transparent);
  p.paint(image);
  return image;
}

bool write_picture(const Picture& p, const QString& path, QString* error) {
  if (p.size.isEmpty()) {
    *error = QStringLiteral("There is nothing to show, and so no picture of it");
    return false;
  }
  const auto ending = QFileInfo(path).suffix().toLower();
  QByteArray bytes;
  QBuffer buffer(&bytes);
  buffer.open(QIODevice::WriteOnly);
  if (ending == QLatin1String("png")) image_of(p).save(&buffer, "PNG");
  else if (ending == QLatin1String("svg")) write_svg(buffer, p);
  else if (ending == QLatin1String("pdf")) write_pdf(buffer, p);
  else return *error = QStringLiteral("%1: a picture is .png, .svg or .pdf").arg(path), false;
  return try_to_write_file(path, {bytes.constData(), static_cast<std::size_t>(bytes.size())}, error);
}

QString ask_for_picture(QWidget* parent, const QString& title) {
  return ask_where_to_save(parent, QStringLiteral("Export picture"), title,
                           {QStringLiteral("PNG picture (*.png)"), QStringLiteral("SVG drawing (*.svg)"), QStringLiteral("PDF page (*.pdf)")});
}

void tell_failure(QWidget* parent, const QString& error) { QMessageBox::warning(parent, QStringLiteral("Not written"), error); }

}  // namespace fathom::gui
