#include "gui/widgets/chart_export.h"

#include <QBuffer>

#include "gui/models/file.h"
#include "gui/widgets/palette.h"
#include "gui/widgets/picture.h"

namespace fathom::gui {
namespace {

// What `use` does with the figure as a picture; it looks as on paper only as long.
template <class Use>
auto as_picture(Figure& figure, const QPalette& palette, const Use& use) {
  decltype(use(Picture{})) result{};
  figure.on_paper(palette, [&](QSize size) {
    result = use(Picture{.title = QString::fromStdString(figure.chart().title), .size = size, .paint = [&](QPaintDevice& device) {
                           QCPPainter painter(&device);
                           painter.setMode(QCPPainter::pmVectorized);
                           figure.toPainter(&painter, size.width(), size.height());
                         }});
  });
  return result;
}

}  // namespace

QImage picture_of(Figure& figure) { return as_picture(figure, figure.palette(), image_of); }

QByteArray picture_of(const Chart& chart, QSize size) {
  Figure figure(nullptr);
  figure.resize(size);
  figure.setPalette(palette_of(Theme::light));
  figure.set_chart(chart);
  QByteArray png;
  QBuffer buffer(&png);
  buffer.open(QIODevice::WriteOnly);
  picture_of(figure).save(&buffer, "PNG");
  return png;
}

bool export_figure(Figure& figure, const QString& path, QString* error) {
  if (path.endsWith(QLatin1String(".csv"), Qt::CaseInsensitive)) return try_to_write_file(path, to_csv(figure.chart()), error);
  const bool as_seen = path.endsWith(QLatin1String(".png"), Qt::CaseInsensitive);
  return as_picture(figure, as_seen ? figure.palette() : palette_of(Theme::light), [&](const Picture& p) { return write_picture(p, path, error); });
}

}  // namespace fathom::gui
