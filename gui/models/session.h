// What the app remembers from one start to the next: recent files, and the unsaved document of a session that ended early.
#pragma once

#include <QLockFile>
#include <QString>
#include <QStringList>

#include <memory>
#include <optional>
#include <string>

namespace fathom::gui {

class Session {
 public:
  // Takes a place in `folder` that no running app holds, if possible one where something was left; empty: the user's data folder.
  explicit Session(QString folder = {});

  struct Unsaved {
    QString path;  // of the document; empty: never saved
    std::string text;
  };
  // What the last app in this place left when it ended early.
  [[nodiscard]] std::optional<Unsaved> lost() const;
  // Keeps a copy of an unsaved document beside the user's files. Throws model_spec::Error{io}.
  void keep(const Unsaved&) const;
  void forget() const;

 private:
  bool take(const QString& file);

  std::unique_ptr<QLockFile> lock_;
  QString file_;
};

// Newest first, at most ten.
QStringList recent_files();
void add_recent_file(const QString& path);

// What somebody drops on the window.
enum class FileKind : unsigned char { scenario, model };
// A model is a Hugging Face config.json or a model spec; everything else is read as a scenario, which then says what is wrong with it.
FileKind kind_of(const QString& path);

}  // namespace fathom::gui
