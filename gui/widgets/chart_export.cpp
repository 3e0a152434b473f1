#include "gui/widgets/chart_export.h"

#include <QBuffer>
#include <QFileInfo>
#include <QPdfWriter>
#include <QSaveFile>
#include <QSvgGenerator>
#include <algorithm>
#include <array>

#include "gui/widgets/palette.h"

namespace fathom::gui {
namespace {

constexpr int dpi = 96;  // of the screen that the sizes of texts were made for

void paint_on(Figure& figure, QPaintDevice& device, QSize size) {
  QCPPainter painter(&device);
  painter.setMode(QCPPainter::pmVectorized);
  figure.toPainter(&painter, size.width(), size.height());
}

void write_svg(Figure& figure, QIODevice& file) {
  figure.on_paper(palette_of(Theme::light), [&](QSize size) {
    QSvgGenerator svg;
    svg.setOutputDevice(&file);
    svg.setResolution(dpi);
    svg.setSize(size);
    svg.setViewBox(QRect(QPoint(0, 0), size));
    svg.setTitle(figure.chart().title.c_str());
    paint_on(figure, svg, size);
  });
}

void write_pdf(Figure& figure, QIODevice& file) {
  figure.on_paper(palette_of(Theme::light), [&](QSize size) {
    QPdfWriter pdf(&file);
    pdf.setResolution(dpi);
    pdf.setPageSize(QPageSize(QSizeF(size) * 72 / dpi, QPageSize::Point, {}, QPageSize::ExactMatch));
    pdf.setPageMargins({});
    pdf.setTitle(figure.chart().title.c_str());
    paint_on(figure, pdf, size);
  });
}

void write_csv(Figure& figure, QIODevice& file) { file.write(QByteArray::fromStdString(to_csv(figure.chart()))); }
void write_png(Figure& figure, QIODevice& file) { picture_of(figure).save(&file, "PNG"); }

struct Format {
  const char* suffix;
  void (*write)(Figure&, QIODevice&);
};
constexpr std::array<Format, 4> formats{{{"png", write_png}, {"svg", write_svg}, {"pdf", write_pdf}, {"csv", write_csv}}};

}  // namespace

QPixmap picture_of(Figure& figure) {
  QPixmap picture;
  figure.on_paper(figure.palette(), [&](QSize size) { picture = figure.toPixmap(size.width(), size.height(), 2); });
  return picture;
}

QByteArray picture_of(const Chart& chart, QSize size) {
  Figure figure(nullptr);
  figure.resize(size);
  figure.setPalette(palette_of(Theme::light));
  figure.set_colours(figure.palette());
  figure.set_chart(chart);
  QByteArray png;
  QBuffer buffer(&png);
  buffer.open(QIODevice::WriteOnly);
  picture_of(figure).save(&buffer, "PNG");
  return png;
}

bool export_figure(Figure& figure, const QString& path, QString* error) {
  const auto fail = [&](const QString& reason) { return *error = QStringLiteral("cannot write %1: %2").arg(path, reason), false; };
  const auto suffix = QFileInfo(path).suffix().toLower();
  const auto format = std::find_if(formats.begin(), formats.end(), [&](const Format& f) { return suffix == QLatin1String(f.suffix); });
  if (format == formats.end()) return fail(QStringLiteral("the name must end in .png, .svg, .pdf or .csv"));
  QSaveFile file(path);
  if (!file.open(QIODevice::WriteOnly)) return fail(file.errorString());
  format->write(figure, file);
  return file.commit() || fail(file.errorString());
}

}  // namespace fathom::gui
