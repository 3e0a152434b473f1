// The planning document: the text of a scenario file, as it is edited, undone and saved. Comments and order of the file stay as they are.
#pragma once

#include <QObject>
#include <QString>
#include <QUndoStack>

#include <optional>
#include <string>

namespace fathom::gui {

class Document : public QObject {
  Q_OBJECT

 public:
  explicit Document(QObject* parent = nullptr);
  ~Document() override;

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const QString& path() const { return path_; }  // empty: never saved
  [[nodiscard]] QString name() const;                          // of the file, or "Untitled"
  [[nodiscard]] bool modified() const { return !undo_.isClean(); }
  QUndoStack& undo() { return undo_; }

  // Edits, each one step to undo; edits of one key that follow each other within two seconds are one. `literal` is TOML; `what` names the edit in the menu. A
  // text that cannot be edited at that key (it does not parse) stays as it is: false.
  bool set(const std::string& key, const std::string& literal, const QString& what);
  bool reset(const std::string& key, const QString& what);   // removes the key: the default holds again
  void replace_text(std::string text, const QString& what);  // likewise

  // Whole files. Throw model_spec::Error{io} and leave everything as it was.
  void start_new(std::string text = {});
  void open(const QString& path);
  void save(const QString& path);
  // As start_new(), but with the path and unsaved changes of a session that ended early.
  void recover(std::string text, const QString& path);
  // The file is another one now, or gone, and what is here is kept: it counts as not saved.
  void keep_mine();
  // What the file holds now differs from what was opened or saved last, or it is gone.
  [[nodiscard]] bool changed_on_disk() const;

 Q_SIGNALS:
  void text_changed();
  void file_changed();  // path or modified()

 private:
  class Edit;
  void take(std::string text, const QString& path);
  void set_text(std::string text);

  std::string text_;
  std::optional<std::string> on_disk_;  // what the file held when we last read or wrote it; nothing: it was gone
  QString path_;
  QUndoStack undo_;
};

}  // namespace fathom::gui
