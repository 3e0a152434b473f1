#include "gui/widgets/scenario_panel.h"

#include <QEvent>
#include <QFileDialog>
#include <algorithm>

#include "model_spec/error.h"

namespace fathom::gui {
namespace {

constexpr int label_column = 0, editor_column = 1, columns = 3;
constexpr auto line_origin = "line";

QString text_of(const std::string& s) { return QString::fromStdString(s); }

QString title_of(const Field& f) { return f.phase ? QStringLiteral("%1, %2").arg(text_of(f.label), text_of(title_of(*f.phase)).toLower()) : text_of(f.label); }

const Setting* setting_at(const std::vector<Setting>& settings, const std::string& key) {
  const auto found = std::ranges::find(settings, key, &Setting::key);
  return found == settings.end() ? nullptr : &*found;
}

QFont font_of(const QWidget& w, bool bold) {
  auto font = w.font();
  font.setBold(bold);
  return font;
}

// Of all labels, so that the editors of all groups stand below each other.
int label_width(const QWidget& w) {
  const QFontMetrics bold(font_of(w, true));
  int widest = 0;
  for (const auto& f : scenario_fields()) widest = std::max(widest, bold.horizontalAdvance(text_of(f.label)));
  return widest;
}

// Where a value comes from: "built in", "derived", "line:3" of the document.
QString origin_of(const Setting& s, const Field& f) {
  if (s.origin == "built in") return QStringLiteral("Default");
  if (s.origin == "derived") return QStringLiteral("Follows from the rest of the layout");
  const auto parts = text_of(s.origin).split(QLatin1Char(':'));
  if (parts.front() != QLatin1String(line_origin)) return text_of(s.origin);
  const auto by = s.key == f.info.key ? QString() : QStringLiteral(" by %1").arg(text_of(s.key));
  return QStringLiteral("Set in line %1%2").arg(parts.back(), by);
}

QString tip_of(const Field& f, const Setting* s) {
  const auto none = f.info.optional ? QStringLiteral("Not set") : QStringLiteral("The model has none");
  const auto range = range_of(f);
  auto lines = QStringList{text_of(f.help), QStringLiteral("Key: %1").arg(text_of(f.info.key))};
  if (!range.empty()) lines << QStringLiteral("Takes: %1").arg(text_of(range));
  lines << (s != nullptr ? origin_of(*s, f) : none);
  return lines.join(QLatin1Char('\n'));
}

bool matches(const FieldEditor& editor, const QString& searched) {
  const auto& f = editor.field();
  const auto words = QStringList{text_of(f.label), text_of(f.info.key), text_of(f.help), text_of(f.group)}.join(QLatin1Char('\n'));
  return words.contains(searched, Qt::CaseInsensitive);
}

QString problem_of(const std::vector<FieldEditor*>& editors) {
  QStringList lines;
  for (const auto* e : editors) {
    const auto phase = e->field().phase;
    const auto problem = e->problem();
    if (!problem.isEmpty()) lines << (phase ? QStringLiteral("%1: %2").arg(text_of(title_of(*phase)), problem) : problem.left(1).toUpper() + problem.mid(1));
  }
  return lines.join(QLatin1Char('\n'));
}

}  // namespace

ScenarioPanel::ScenarioPanel(Document& document, QWidget* parent)
    : QWidget(parent), document_(document), search_(new QLineEdit(this)), notice_(new QLabel(this)), scroll_(new QScrollArea(this)) {
  setObjectName(QStringLiteral("scenario_panel"));
  setAccessibleName(QStringLiteral("Scenario"));
  search_->setObjectName(QStringLiteral("search"));
  search_->setAccessibleName(QStringLiteral("Find a setting"));
  search_->setPlaceholderText(QStringLiteral("Find a setting"));
  search_->setClearButtonEnabled(true);
  notice_->setObjectName(QStringLiteral("notice"));
  notice_->setWordWrap(true);
  auto* content = new QWidget;
  auto* column = new QVBoxLayout(content);
  column->setContentsMargins(0, 0, 4, 4);
  column->setSpacing(0);
  add_groups(*column);
  column->addStretch(1);
  scroll_->setObjectName(QStringLiteral("settings"));
  scroll_->setFocusPolicy(Qt::NoFocus);
  scroll_->setWidgetResizable(true);
  scroll_->setFrameShape(QFrame::NoFrame);
  scroll_->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  scroll_->setWidget(content);
  auto* all = new QVBoxLayout(this);
  all->setContentsMargins(6, 6, 0, 0);
  for (auto* part : {static_cast<QWidget*>(search_), static_cast<QWidget*>(notice_), static_cast<QWidget*>(scroll_)}) all->addWidget(part);
  offer_files();
  connect(search_, &QLineEdit::textChanged, this, [this] { arrange(); });
  connect(&document_, &Document::text_changed, this, &ScenarioPanel::read_document);
  read_document();
}

void ScenarioPanel::add_groups(QVBoxLayout& column) {
  const auto& fields = scenario_fields();
  const int width = label_width(*this);
  for (auto first = fields.begin(); first != fields.end();) {
    if (first == fields.begin() || first->group != std::prev(first)->group) {
      groups_.push_back({.section = new Section(text_of(first->group))});
      groups_.back().section->grid().setColumnMinimumWidth(label_column, width);
      for (int c = editor_column; c < columns; ++c) groups_.back().section->grid().setColumnStretch(c, 1);
      column.addWidget(groups_.back().section);
    }
    const auto last = first + (first->phase ? 2 : 1);
    add_row(groups_.back(), {first, last});
    first = last;
  }
}

void ScenarioPanel::add_row(Group& group, std::span<const Field> fields) {
  auto& grid = group.section->grid();
  if (fields.size() > 1 && group.heads == nullptr) {
    group.heads = new QWidget;
    auto* heads = new QHBoxLayout(group.heads);
    heads->setContentsMargins(4, 2, 0, 0);
    for (const auto& f : fields) heads->addWidget(new QLabel(text_of(title_of(*f.phase))));
    grid.addWidget(group.heads, grid.rowCount(), editor_column, 1, columns - editor_column);
  }
  const int line = grid.rowCount();
  Row row{.label = new QLabel(text_of(fields.front().label)), .editors = {}, .message = new QLabel};
  grid.addWidget(row.label, line, label_column);
  for (const auto& f : fields) {
    row.editors.push_back(make_editor(f));
    const int column = editor_column + static_cast<int>(row.editors.size()) - 1;
    grid.addWidget(row.editors.back(), line, column, 1, fields.size() > 1 ? 1 : columns - editor_column);
  }
  row.label->setBuddy(row.editors.front()->input());
  row.message->setObjectName(QStringLiteral("message:") + row.editors.front()->input()->objectName());
  row.message->setWordWrap(true);
  grid.addWidget(row.message, line + 1, label_column, 1, columns);
  group.rows.push_back(std::move(row));
}

FieldEditor* ScenarioPanel::make_editor(const Field& f) {
  auto* editor = new FieldEditor(f);
  connect(editor, &FieldEditor::committed, this, [this, &f](const std::string& literal) { commit(f, literal); });
  connect(editor, &FieldEditor::reset_asked, this, [this, &f] { reset(f); });
  connect(editor, &FieldEditor::problem_changed, this, [this] { arrange(); });
  return editor;
}

// A model from a file, at the end of those that are known.
void ScenarioPanel::offer_files() {
  auto* models = findChild<QComboBox*>(QStringLiteral("model.name"));
  models->insertSeparator(models->count());
  models->addItem(QStringLiteral("Open…"));
  connect(models, &QComboBox::activated, this, [this, models](int index) {
    if (index != models->count() - 1) return;
    const auto path = QFileDialog::getOpenFileName(this, QStringLiteral("Open a model"), {}, QStringLiteral("Models (*.toml *.json);;All files (*)"));
    if (!path.isEmpty()) document_.set("model.name", toml_string(path.toStdString()), QStringLiteral("Model"));
    refresh();
  });
}

void ScenarioPanel::show_answer(const SharedAnswer& answer) {
  answer_ = answer;
  if (answer_ && answer_->scenario) in_force_ = values_in_force(*answer_);
  else forget_old_text();
  refresh();
}

// Without an answer, what an earlier text set is in force no more: the defaults are, as far as anybody can say.
void ScenarioPanel::forget_old_text() {
  static const auto defaults = values_in_force(gui::answer({}, {}));
  std::erase_if(in_force_, [](const Setting& s) { return s.origin.find(':') != std::string::npos; });
  for (const auto& s : defaults)
    if (setting_at(in_force_, s.key) == nullptr) in_force_.push_back(s);
}

void ScenarioPanel::commit(const Field& f, const std::string& literal) {
  std::vector<std::string> nearer;  // keys of one phase, which would win over what is set for both
  for (const auto& key : keys_behind(f))
    if (general_key(key) == f.info.key && own(key) != nullptr) nearer.push_back(key);
  edit(title_of(f), nearer, [&] { document_.set(f.info.key, literal, title_of(f)); });
}

void ScenarioPanel::reset(const Field& f) {
  auto keys = keys_behind(f);
  std::erase_if(keys, [&](const std::string& key) { return own(key) == nullptr; });
  if (keys.size() > 1 && keys.back() == general_key(f.info.key)) keys.pop_back();  // what is set for both phases holds again
  edit(QStringLiteral("Reset of %1").arg(title_of(f)), keys, [] {});
}

// One step to undo.
void ScenarioPanel::edit(const QString& what, const std::vector<std::string>& removed, const std::function<void()>& then) {
  if (!removed.empty()) document_.undo().beginMacro(what);
  for (const auto& key : removed) document_.reset(key, what);
  then();
  if (!removed.empty()) document_.undo().endMacro();
}

void ScenarioPanel::read_document() {
  try {
    own_ = parse_settings(document_.text(), line_origin);
    for (auto& s : own_)
      if (s.key == "model") s.key = "model.name";  // short for it
    notice_->clear();
  } catch (const Error& e) {
    notice_->setText(QStringLiteral("The fields wait until the text can be read: %1")
                         .arg(QString::fromUtf8(e.what()).replace(QStringLiteral("line:"), QStringLiteral("line "))));
  }
  notice_->setVisible(!notice_->text().isEmpty());
  scroll_->widget()->setEnabled(notice_->text().isEmpty());
  refresh();
}

void ScenarioPanel::go_to(const std::string& key) {
  search_->clear();
  for (auto& group : groups_)
    for (const auto& row : group.rows)
      for (auto* editor : row.editors) {
        if (editor->field().info.key != key) continue;
        group.section->open();
        scroll_->ensureWidgetVisible(editor);
        editor->input()->setFocus(Qt::OtherFocusReason);
      }
}

void ScenarioPanel::refresh() {
  for (const auto& group : groups_) {
    for (const auto& row : group.rows) {
      for (auto* editor : row.editors) {
        editor->show_value(shown(editor->field()));
        editor->show_fault(fault_of(editor->field()));
      }
      row.label->setFont(font_of(*this, std::ranges::any_of(row.editors, [](const FieldEditor* e) { return e->is_set(); })));
      row.label->setToolTip(row.editors.front()->input()->toolTip());
    }
  }
  arrange();
}

void ScenarioPanel::arrange() {
  for (auto& group : groups_) arrange(group);
}

// Shows what is searched for, and what is wrong.
void ScenarioPanel::arrange(Group& group) {
  int found = 0, problems = 0, with_heads = 0;
  auto red = palette();
  red.setColor(QPalette::WindowText, fault_colour(red));
  for (const auto& row : group.rows) {
    const bool shows = std::ranges::any_of(row.editors, [&](const FieldEditor* e) { return matches(*e, search_->text()); });
    const auto problem = problem_of(row.editors);
    row.label->setVisible(shows);
    for (auto* editor : row.editors) editor->setVisible(shows);
    row.message->setPalette(red);
    row.message->setText(problem);
    row.message->setVisible(shows && !problem.isEmpty());
    found += shows ? 1 : 0;
    problems += problem.isEmpty() ? 0 : 1;
    with_heads += shows && row.editors.size() > 1 ? 1 : 0;
  }
  if (group.heads != nullptr) group.heads->setVisible(with_heads > 0);
  group.section->setVisible(found > 0);
  group.section->set_forced_open(!search_->text().isEmpty());
  group.section->set_problems(problems);
}

const Setting* ScenarioPanel::own(const std::string& key) const { return setting_at(own_, key); }

const Setting* ScenarioPanel::value_of(const Field& f) const {
  if (const auto* s = own(shown_key(f))) return s;
  if (const auto* s = own(f.info.key)) return s;
  if (const auto* s = own(general_key(f.info.key))) return s;
  return setting_at(in_force_, shown_key(f));
}

FieldEditor::Value ScenarioPanel::shown(const Field& f) const {
  const auto* s = value_of(f);
  const auto keys = keys_behind(f);
  FieldEditor::Value out{.literal = s != nullptr ? s->literal : std::string(), .tip = tip_of(f, s)};
  out.set = std::ranges::any_of(keys, [&](const std::string& key) { return own(key) != nullptr; });
  out.exists = s != nullptr || f.info.optional || in_force_.empty();
  const auto* whole = f.share_of.empty() ? nullptr : own(f.share_of);
  if (whole == nullptr) whole = setting_at(in_force_, f.share_of);
  if (whole != nullptr) out.whole = text_of(whole->literal).toDouble();
  return out;
}

QString ScenarioPanel::fault_of(const Field& f) const {
  if (!answer_ || !f.share_of.empty()) return {};  // of a share: the key's own field says it
  const auto keys = keys_behind(f);
  QStringList messages;
  for (const auto& fault : answer_->faults)
    if (std::ranges::count(keys, fault.key) > 0) messages << text_of(fault.message);
  return messages.join(QLatin1Char('\n'));
}

void ScenarioPanel::changeEvent(QEvent* e) {
  QWidget::changeEvent(e);
  if (e->type() == QEvent::PaletteChange) arrange();
}

}  // namespace fathom::gui
