#include "gui/models/file.h"

#include <QSaveFile>

#include "model_spec/error.h"

namespace fathom::gui {

bool try_to_write_file(const QString& path, std::string_view bytes, QString* error) {
  QSaveFile file(path);
  const auto size = static_cast<qint64>(bytes.size());
  // A full disk takes a part: no error of its own, and commit() would keep it.
  if (file.open(QIODevice::WriteOnly) && file.write(bytes.data(), size) == size && file.commit()) return true;
  *error = QStringLiteral("%1: cannot be saved: %2").arg(path, file.errorString());
  return false;
}

void write_file(const QString& path, std::string_view bytes) {
  if (QString error; !try_to_write_file(path, bytes, &error)) throw model_spec::Error(model_spec::Failure::io, error.toStdString());
}

}  // namespace fathom::gui
