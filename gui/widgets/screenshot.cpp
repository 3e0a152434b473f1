#include "gui/widgets/screenshot.h"

#include <QApplication>
#include <QBuffer>
#include <QDir>
#include <QElapsedTimer>
#include <QEventLoop>

#include <fmt/format.h>

#include "gui/models/file.h"
#include "model_spec/error.h"

namespace fathom::gui {
namespace {

void write_picture(const QPixmap& picture, const QString& path) {
  QByteArray png;
  QBuffer buffer(&png);
  buffer.open(QIODevice::WriteOnly);
  picture.save(&buffer, "PNG");
  write_file(path, std::string_view(png.constData(), static_cast<std::size_t>(png.size())));
}

// Lets queued replots, layouts and a first sweep happen.
void settle(const Views& views) {
  constexpr int patience_ms = 5000;
  QElapsedTimer timer;
  timer.start();
  do QApplication::processEvents(QEventLoop::AllEvents, 50);
  while (timer.elapsed() < 50 || (views.busy() && timer.elapsed() < patience_ms));
}

}  // namespace

void wait_for_answer(MainWindow& window) {
  QEventLoop loop;
  QObject::connect(&window, &MainWindow::curved, &loop, &QEventLoop::quit);
  QTimer::singleShot(10'000, &loop, &QEventLoop::quit);
  loop.exec();
  settle(window.views());
}

void take_screenshots(MainWindow& window, const QString& folder) {
  if (!QDir().mkpath(folder)) throw model_spec::Error(model_spec::Failure::io, fmt::format("{}: cannot be made", folder.toStdString()));
  const QDir into(folder);
  write_picture(window.grab(), into.filePath(QStringLiteral("window.png")));
  for (auto* dock : window.views().docks()) {
    dock->raise();
    settle(window.views());
    write_picture(dock->grab(), into.filePath(dock->objectName() + QStringLiteral(".png")));
  }
}

}  // namespace fathom::gui
