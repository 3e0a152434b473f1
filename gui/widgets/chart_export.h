// A figure as a file or a picture.
#pragma once

#include "gui/widgets/chart_figure.h"

namespace fathom::gui {

QImage picture_of(Figure&);                  // as on the screen, with twice the pixels
QByteArray picture_of(const Chart&, QSize);  // PNG on white, with twice the pixels
// The suffix says what: .png (as picture_of()), .svg and .pdf (on white), or .csv (the data). False: *error says why, an old file is as it was.
bool export_figure(Figure&, const QString& path, QString* error);

}  // namespace fathom::gui
