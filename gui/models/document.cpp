#include "gui/models/document.h"

#include <fmt/format.h>

#include <QFile>
#include <QFileInfo>
#include <QUndoCommand>
#include <algorithm>
#include <chrono>
#include <optional>

#include "gui/models/file.h"
#include "model_spec/error.h"
#include "simulator/scenario.h"

namespace fathom::gui {
namespace {

using namespace model_spec;

constexpr std::string_view short_model = "model", model_name = "model.name";
constexpr std::string_view text_key = "text";  // of edits of the text itself; no setting has this key
using Clock = std::chrono::steady_clock;
constexpr auto pause = std::chrono::seconds(2);  // in typing, that ends a step

std::string file_name(const QString& path) { return QFile::encodeName(path).toStdString(); }

std::optional<std::string> literal_at(std::string_view text, std::string_view key) {
  const auto settings = simulator::parse_settings(text, "");
  const auto found = std::ranges::find(settings, key, &simulator::Setting::key);
  return found == settings.end() ? std::nullopt : std::optional(found->literal);
}

// `model = "name"` is short for model.name.
std::string_view key_in(std::string_view text, std::string_view key) { return key == model_name && literal_at(text, short_model) ? short_model : key; }

std::string edited(std::string text, std::string_view key, std::string_view literal, const std::string& file) {
  const auto name = literal_at(text, short_model);  // it becomes a table if another key of the model is set
  if (name && key != model_name && key.starts_with("model.")) text = edit_toml(text, short_model, fmt::format("{{ name = {} }}", *name), file);
  return edit_toml(text, key_in(text, key), literal, file);
}

// What a file holds; nothing if it cannot be read.
std::optional<std::string> held_by(const QString& path) {
  try {
    return read_text_file(file_name(path));
  } catch (const Error&) { return std::nullopt; }
}

}  // namespace

// The text before and after. With a key: another edit of it joins this one.
class Document::Edit : public QUndoCommand {
 public:
  Edit(Document& document, std::string after, std::string key, const QString& what)
      : QUndoCommand(what), document_(document), before_(document.text_), after_(std::move(after)), key_(std::move(key)) {}

  void undo() override { document_.set_text(before_); }
  void redo() override { document_.set_text(after_); }
  [[nodiscard]] int id() const override { return key_.empty() ? -1 : 1; }
  bool mergeWith(const QUndoCommand* next) override {
    const auto& edit = static_cast<const Edit&>(*next);
    if (edit.key_ != key_ || edit.made_ - made_ > pause) return false;
    after_ = edit.after_;
    made_ = edit.made_;
    setObsolete(after_ == before_);
    return true;
  }

 private:
  Document& document_;
  std::string before_, after_, key_;
  Clock::time_point made_ = Clock::now();
};

Document::Document(QObject* parent) : QObject(parent) {
  connect(&undo_, &QUndoStack::cleanChanged, this, [this] { Q_EMIT file_changed(); });
}

Document::~Document() { undo_.disconnect(this); }  // it is cleared after us, which is nobody's business any more

QString Document::name() const { return path_.isEmpty() ? QStringLiteral("Untitled") : QFileInfo(path_).fileName(); }

bool Document::set(const std::string& key, const std::string& literal, const QString& what) {
  try {
    auto after = edited(text_, key, literal, name().toStdString());
    const auto place = key_in(text_, key);
    const auto now = literal_at(text_, place);
    if (!now || now != literal_at(after, place)) undo_.push(new Edit(*this, std::move(after), key, what));
    return true;
  } catch (const Error&) { return false; }
}

bool Document::reset(const std::string& key, const QString& what) {
  try {
    auto after = erase_toml(text_, key_in(text_, key), name().toStdString());
    if (after != text_) undo_.push(new Edit(*this, std::move(after), {}, what));
    return true;
  } catch (const Error&) { return false; }
}

void Document::replace_text(std::string text, const QString& what) {
  if (text != text_) undo_.push(new Edit(*this, std::move(text), std::string(text_key), what));
}

void Document::start_new(std::string text) {
  on_disk_.reset();
  take(std::move(text), {});
}

void Document::open(const QString& path) {
  auto text = read_text_file(file_name(path));
  if (QFileInfo(path).size() > static_cast<qint64>(text.size())) throw Error(Failure::io, path.toStdString() + ": is too large for a scenario");
  on_disk_ = text;
  take(std::move(text), path);
}

void Document::save(const QString& path) {
  write_file(path, text_);
  on_disk_ = text_;
  path_ = path;
  undo_.setClean();
  Q_EMIT file_changed();
}

void Document::recover(std::string text, const QString& path) {
  on_disk_ = held_by(path);
  take(std::move(text), path);
  undo_.resetClean();
}

bool Document::changed_on_disk() const { return !path_.isEmpty() && held_by(path_) != on_disk_; }

void Document::keep_mine() {
  on_disk_ = held_by(path_);
  undo_.resetClean();
  Q_EMIT file_changed();
}

void Document::take(std::string text, const QString& path) {
  text_ = std::move(text);
  path_ = path;
  undo_.clear();
  Q_EMIT text_changed();
  Q_EMIT file_changed();
}

void Document::set_text(std::string text) {
  text_ = std::move(text);
  Q_EMIT text_changed();
}

}  // namespace fathom::gui
