// Pictures of what a view shows: for the clipboard and as files.
#pragma once

#include <QImage>
#include <QSizeF>
#include <QString>

#include <functional>

class QPaintDevice;
class QWidget;

namespace fathom::gui {

// Something to draw on a canvas of `size` pixels of a usual screen, its ground included.
struct Picture {
  QString title;
  QSizeF size;
  std::function<void(QPaintDevice&)> paint;
};

QImage image_of(const Picture&);  // two pixels for one
// As PNG, SVG or PDF, by the ending of the path; the file is whole or as before. error: one line, if it fails.
bool write_picture(const Picture&, const QString& path, QString* error);

// The path to write a picture to, "" if the user has thought better of it; and the word that it could not be written.
QString ask_for_picture(QWidget* parent, const QString& title);
void tell_failure(QWidget* parent, const QString& error);

}  // namespace fathom::gui
