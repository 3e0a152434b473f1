#include "gui/widgets/picture.h"

#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QMessageBox>
#include <QPageLayout>
#include <QPageSize>
#include <QPainter>
#include <QPdfWriter>
#include <QRegularExpression>
#include <QSaveFile>
#include <QSvgGenerator>

namespace fathom::gui {
namespace {

constexpr int screen_dpi = 96;  // Qt's other default, 72, would shrink the text of vector pictures

void paint_on(QPaintDevice& device, const Picture& p) {
  QPainter painter(&device);
  painter.setRenderHints(QPainter::Antialiasing | QPainter::TextAntialiasing);
  p.paint(painter);
}

void write_svg(QIODevice& file, const Picture& p) {
  QSvgGenerator svg;
  svg.setOutputDevice(&file);
  svg.setResolution(screen_dpi);
  svg.setSize(p.size.toSize());
  svg.setViewBox(QRectF({}, p.size));
  svg.setTitle(p.title);
  paint_on(svg, p);
}

void write_pdf(QIODevice& file, const Picture& p) {
  QPdfWriter pdf(&file);
  pdf.setTitle(p.title);
  pdf.setResolution(screen_dpi);
  pdf.setPageLayout({QPageSize(p.size * 72 / screen_dpi, QPageSize::Point, {}, QPageSize::ExactMatch), QPageLayout::Portrait, {}});
  paint_on(pdf, p);
}

}  // namespace

QImage image_of(const Picture& p) {
  constexpr int scale = 2;
  QImage image((p.size * scale).toSize(), QImage::Format_ARGB32_Premultiplied);
  image.setDevicePixelRatio(scale);
  image.fill(Qt::transparent);
  paint_on(image, p);
  return image;
}

bool write_picture(const Picture& p, const QString& path, QString* error) {
  if (p.size.isEmpty()) {
    *error = QStringLiteral("There is nothing to show, and so no picture of it");
    return false;
  }
  const auto ending = QFileInfo(path).suffix().toLower();
  if (ending != QLatin1String("png") && ending != QLatin1String("svg") && ending != QLatin1String("pdf")) {
    *error = QStringLiteral("%1: pictures are written as .png, .svg or .pdf").arg(QDir::toNativeSeparators(path));
    return false;
  }
  QSaveFile file(path);
  if (file.open(QIODevice::WriteOnly)) {
    if (ending == QLatin1String("png")) image_of(p).save(&file, "PNG");
    else if (ending == QLatin1String("svg")) write_svg(file, p);
    else write_pdf(file, p);
  }
  if (file.isOpen() && file.commit()) return true;
  *error = QStringLiteral("Cannot write %1: %2").arg(QDir::toNativeSeparators(path), file.errorString());
  return false;
}

QString ask_for_picture(QWidget* parent, const QString& title) {
  auto name = title;
  name.replace(QRegularExpression(QStringLiteral("[^\\w.-]+")), QStringLiteral("_"));
  return QFileDialog::getSaveFileName(parent, QStringLiteral("Export picture"), name + QLatin1String(".png"), QStringLiteral("Pictures (*.png *.svg *.pdf)"));
}

void tell_failure(QWidget* parent, const QString& error) { QMessageBox::warning(parent, QStringLiteral("Not written"), error); }

}  // namespace fathom::gui
