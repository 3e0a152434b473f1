#include "gui/widgets/field_editor.h"

#include <QAbstractItemView>
#include <QEvent>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QPainter>

#include "gui/widgets/palette.h"

namespace fathom::gui {
namespace {

constexpr int frame = 2;  // room around the input
constexpr int reset_width = 18;

QString complaint_about(const Field& f) {
  if (f.percent) return QStringLiteral("Not a share; 90% or 0.9 are");
  const auto or_word = f.zero.empty() ? QString() : QStringLiteral(", %1").arg(QString::fromStdString(f.zero));
  return f.info.kind == SettingKind::integer ? QStringLiteral("Not a whole number; 4000, 4k, 128Ki%1 are").arg(or_word)
                                             : QStringLiteral("Not a number; 2.5 or 4k are");
}

}  // namespace

QColor fault_colour(const QPalette& p) { return is_dark(p) ? QColor(0xff7b72) : QColor(0xc62828); }

FieldEditor::FieldEditor(const Field& field, QWidget* parent) : QWidget(parent), field_(field), reset_(new QToolButton(this)) {
  const auto key = QString::fromStdString(field_.share_of.empty() ? field_.info.key : field_.info.key + ":share");
  setObjectName(QStringLiteral("editor:") + key);
  if (field_.info.kind == SettingKind::boolean) make_switch();
  else if (field_.info.kind == SettingKind::word || field_.info.kind == SettingKind::text) make_choice();
  else make_quantity();
  auto name = QString::fromStdString(field_.label);
  if (field_.phase) name += QStringLiteral(", %1").arg(QString::fromUtf8(name_of(*field_.phase).data()));
  input_->setObjectName(key);
  input_->setAccessibleName(name);
  input_->installEventFilter(this);
  reset_->setObjectName(QStringLiteral("reset:") + key);
  reset_->setAccessibleName(QStringLiteral("Reset %1").arg(name));
  reset_->setText(QStringLiteral("↺"));
  reset_->setToolTip(QStringLiteral("Back to the default"));
  reset_->setAutoRaise(true);
  reset_->setFocusPolicy(Qt::NoFocus);  // the keyboard empties the field
  reset_->setFixedWidth(reset_width);
  auto keeps = reset_->sizePolicy();
  keeps.setRetainSizeWhenHidden(true);
  reset_->setSizePolicy(keeps);
  reset_->hide();
  connect(reset_, &QToolButton::clicked, this, &FieldEditor::reset_asked);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(frame, frame, 0, frame);
  row->setSpacing(frame);
  row->addWidget(input_, 1);
  row->addWidget(reset_);
  setFocusProxy(input_);
}

void FieldEditor::make_quantity() {
  input_ = quantity_ = new QuantityEdit(QString::fromStdString(field_.unit), this);
  quantity_->setMinimumWidth(56);
  if (field_.info.optional) quantity_->setPlaceholderText(QStringLiteral("not set"));
  connect(quantity_, &QLineEdit::textEdited, this, &FieldEditor::typed);
  connect(quantity_, &QLineEdit::editingFinished, this, &FieldEditor::finished);
  connect(quantity_, &QuantityEdit::abandoned, this, &FieldEditor::abandon);
  connect(quantity_, &QuantityEdit::steps_asked, this, [this](int steps) {
    quantity_->setText(QString::fromStdString(stepped(field_, text(), steps, value_.whole)));
    typed();
  });
}

void FieldEditor::make_choice() {
  input_ = choice_ = new QComboBox(this);
  for (const auto& w : field_.info.words) choice_->addItem(QString::fromStdString(w));
  choice_->setMinimumWidth(56);
  choice_->setFocusPolicy(Qt::StrongFocus);
  choice_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  choice_->setEditable(field_.info.kind == SettingKind::text);
  choice_->setInsertPolicy(QComboBox::NoInsert);
  connect(choice_, &QComboBox::activated, this, [this](int index) {
    if (index < static_cast<int>(field_.info.words.size())) Q_EMIT committed(*literal_of(field_, choice_->itemText(index).toStdString()));
  });
  if (!choice_->isEditable()) return;
  connect(choice_->lineEdit(), &QLineEdit::textEdited, this, [this] { typing_ = true; });
  connect(choice_->lineEdit(), &QLineEdit::editingFinished, this, &FieldEditor::finished);
}

void FieldEditor::make_switch() {
  input_ = switch_ = new QCheckBox(this);
  connect(switch_, &QCheckBox::clicked, this, [this](bool on) { Q_EMIT committed(on ? "true" : "false"); });
}

void FieldEditor::show_value(const Value& v) {
  const bool changed = v.literal != value_.literal;
  value_ = v;
  const bool half_done = typing_ && (!changed || literal_of(field_, text(), v.whole) == v.literal);
  if (!half_done) abandon();
  reset_->setVisible(v.set);
  input_->setEnabled(v.exists);
  input_->setToolTip(v.tip);
  colour();
}

void FieldEditor::show_fault(const QString& message) { say(fault_, message); }

std::string FieldEditor::text() const { return (quantity_ != nullptr ? quantity_->text() : choice_->currentText()).trimmed().toStdString(); }

void FieldEditor::typed() {
  typing_ = true;
  const auto literal = literal_of(field_, text(), value_.whole);
  complain(literal || text().empty() ? QString() : complaint_about(field_));
  if (literal) Q_EMIT committed(*literal);
}

void FieldEditor::finished() {
  const bool empty = text().empty();
  const auto literal = literal_of(field_, text(), value_.whole);
  if (empty && value_.set) Q_EMIT reset_asked();
  if (choice_ != nullptr && typing_ && literal && *literal != value_.literal) Q_EMIT committed(*literal);
  if (literal || empty) abandon();
}

void FieldEditor::abandon() {
  typing_ = false;
  complain({});
  show_text();
}

void FieldEditor::complain(const QString& complaint) { say(complaint_, complaint); }

void FieldEditor::say(QString& problem, const QString& text) {
  if (text == problem) return;
  problem = text;
  update();
  Q_EMIT problem_changed();
}

void FieldEditor::show_text() {
  const auto text = value_.literal.empty() ? QString() : QString::fromStdString(typed_of(field_, value_.literal, value_.whole));
  if (quantity_ != nullptr && quantity_->text() != text) quantity_->setText(text);
  if (choice_ != nullptr) show_choice(text);
  if (switch_ != nullptr) switch_->setChecked(value_.literal == "true");
}

void FieldEditor::show_choice(const QString& text) {
  choice_->setCurrentIndex(choice_->findText(text));
  if (choice_->isEditable()) {
    if (choice_->currentText() != text) choice_->setEditText(text);
  } else {
    choice_->setPlaceholderText(text);  // of a word that is none
  }
}

// What nobody set is muted.
void FieldEditor::colour() {
  auto p = palette();
  if (!value_.set)
    for (const auto role : {QPalette::Text, QPalette::ButtonText, QPalette::WindowText}) p.setColor(role, p.color(QPalette::PlaceholderText));
  input_->setPalette(p);
  if (choice_ != nullptr) choice_->view()->setPalette(palette());
}

bool FieldEditor::eventFilter(QObject* watched, QEvent* e) {
  if (watched != input_ || quantity_ != nullptr) return false;
  if (e->type() == QEvent::Wheel && !input_->hasFocus()) {
    e->ignore();  // what is around it scrolls
    return true;
  }
  const bool empties = e->type() == QEvent::KeyPress && static_cast<QKeyEvent*>(e)->key() == Qt::Key_Delete;
  if (!empties || !value_.set || (choice_ != nullptr && choice_->isEditable())) return false;
  Q_EMIT reset_asked();
  return true;
}

void FieldEditor::changeEvent(QEvent* e) {
  QWidget::changeEvent(e);
  if (e->type() == QEvent::PaletteChange) colour();
}

void FieldEditor::paintEvent(QPaintEvent*) {
  if (problem().isEmpty()) return;
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(QPen(fault_colour(palette()), frame));
  painter.drawRoundedRect(QRectF(input_->geometry()).adjusted(-1, -1, 1, 1), 3, 3);
}

}  // namespace fathom::gui
