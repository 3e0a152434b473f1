#include "gui/models/session.h"

#include <QDir>
#include <QFile>
#include <QSettings>
#include <QStandardPaths>

#include <fmt/format.h>

#include "gui/models/file.h"
#include "model_spec/error.h"
#include "model_spec/model.h"

namespace fathom::gui {
namespace {

constexpr int most_apps = 100, most_recent = 10;
const auto recent_key = QStringLiteral("recent_files");

}  // namespace

Session::Session(QString folder) {
  if (folder.isEmpty()) folder = QStandardPaths::writableLocation(QStandardPaths::AppDataLocation);
  QDir dir(folder);
  dir.mkpath(folder);
  for (const auto& left : dir.entryList({QStringLiteral("unsaved-*.toml")}, QDir::Files, QDir::Name))
    if (take(dir.filePath(left))) return;
  for (int place = 0; place < most_apps; ++place)
    if (take(dir.filePath(QStringLiteral("unsaved-%1.toml").arg(place)))) return;
}

bool Session::take(const QString& file) {
  auto lock = std::make_unique<QLockFile>(file + QStringLiteral(".lock"));
  lock->setStaleLockTime(0);  // held by a process that lives, however long
  if (!lock->tryLock()) return false;
  lock_ = std::move(lock);
  file_ = file;
  return true;
}

std::optional<Session::Unsaved> Session::lost() const {
  QFile file(file_);
  if (file_.isEmpty() || !file.open(QIODevice::ReadOnly)) return std::nullopt;
  const auto path = QString::fromUtf8(file.readLine()).trimmed().mid(2);  // "# path"
  return Unsaved{path, file.readAll().toStdString()};
}

void Session::keep(const Unsaved& unsaved) const {
  if (!file_.isEmpty()) write_file(file_, fmt::format("# {}\n{}", unsaved.path.toStdString(), unsaved.text));
}

void Session::forget() const { QFile::remove(file_); }

QStringList recent_files() { return QSettings().value(recent_key).toStringList(); }

void add_recent_file(const QString& path) {
  auto files = recent_files();
  files.removeAll(path);
  files.prepend(path);
  QSettings().setValue(recent_key, files.mid(0, most_recent));
}

FileKind kind_of(const QString& path) {
  if (path.endsWith(QStringLiteral(".json"), Qt::CaseInsensitive)) return FileKind::model;
  try {
    static_cast<void>(model_spec::find_model(path.toStdString()));
    return FileKind::model;
  } catch (const model_spec::Error&) { return FileKind::scenario; }
}

}  // namespace fathom::gui
