#include "gui/models/document.h"

#include <QFileInfo>

#include <utility>

#include "gui/models/session.h"
#include "model_spec/error.h"
#include "model_spec/toml.h"

namespace fathom::gui {

// One step to undo: the text before and after it.
class Document::Edit : public QUndoCommand {
 public:
  Edit(Document& document, std::string key, std::string text, const QString& what)
      : QUndoCommand(what), document_(document), key_(std::move(key)), before_(document.text_), after_(std::move(text)) {}
  void undo() override { document_.set_text(before_); }
  void redo() override { document_.set_text(after_); }
  [[nodiscard]] int id() const override { return key_.empty() ? -1 : 1; }
  bool mergeWith(const QUndoCommand* other) override {
    const auto& next = static_cast<const Edit&>(*other);
    if (next.key_ != key_) return false;
    after_ = next.after_;
    setObsolete(after_ == before_);
    return true;
  }

 private:
  Document& document_;
  std::string key_;  // empty: stays apart from the edits around it
  std::string before_, after_;
};

Document::Document(QObject* parent) : QObject(parent) { connect(&undo_, &QUndoStack::cleanChanged, this, &Document::file_changed); }

QString Document::name() const { return path_.isEmpty() ? QStringLiteral("Untitled") : QFileInfo(path_).fileName(); }

bool Document::change(const std::string& key, const QString& what, const std::function<std::string()>& edited) {
  try {
    auto text = edited();
    if (text != text_) undo_.push(new Edit(*this, key, std::move(text), what));
    return true;
  } catch (const model_spec::Error&) { return false; }
}

bool Document::set(const std::string& key, const std::string& literal, const QString& what) {
  return change(key, what, [&] { return model_spec::edit_toml(text_, key, literal, name().toStdString()); });
}

bool Document::reset(const std::string& key, const QString& what) {
  return change({}, what, [&] { return model_spec::erase_toml(text_, key, name().toStdString()); });
}

void Document::replace_text(std::string text, const QString& what) {
  change("text", what, [&] { return std::move(text); });
}

void Document::start_new(std::string text) { take(std::move(text), {}); }

void Document::open(const QString& path) { take(model_spec::read_text_file(path.toStdString()), path); }

void Document::save(const QString& path) {
  write_file(path, text_);
  path_ = path;
  on_disk_ = text_;
  undo_.setClean();
  Q_EMIT file_changed();
}

void Document::recover(std::string text, const QString& path) {
  take({}, path);
  change({}, QStringLiteral("Recover"), [&] { return std::move(text); });
}

bool Document::changed_on_disk() const {
  if (path_.isEmpty()) return false;
  try {
    return model_spec::read_text_file(path_.toStdString()) != on_disk_;
  } catch (const model_spec::Error&) { return true; }  // it has gone
}

void Document::take(std::string text, const QString& path) {
  undo_.clear();
  path_ = path;
  on_disk_ = text;
  set_text(std::move(text));
  Q_EMIT file_changed();
}

void Document::set_text(std::string text) {
  text_ = std::move(text);
  Q_EMIT text_changed();
}

}  // namespace fathom::gui
