#include "gui/widgets/answer_panel.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>

#include <algorithm>

#include "gui/widgets/palette.h"

namespace fathom::gui {
namespace {

constexpr int least_tile_width = 132, accent_width = 5;
constexpr double sentence_size = 1.25, value_size = 1.5, source_size = 0.85;

QFont scaled(QFont font, double factor, bool bold) {
  font.setPointSizeF(font.pointSizeF() * factor);
  font.setBold(bold);
  return font;
}

QString text(const std::string& s) { return QString::fromStdString(s); }

// "fits: ..." reads better as a sentence.
QString sentence_of(const Answer& a) {
  auto sentence = a.faults.empty() ? text(a.report.answer) : QStringLiteral("No answer: %1").arg(text(a.nothing(PhaseName::decode)));
  if (!sentence.isEmpty()) sentence[0] = sentence[0].toUpper();
  return sentence;
}

}  // namespace

FigureTile::FigureTile(QWidget* parent) : QFrame(parent) {
  setFrameShape(QFrame::StyledPanel);
  setBackgroundRole(QPalette::Base);
  setAutoFillBackground(true);
  setFocusPolicy(Qt::StrongFocus);
  setCursor(Qt::PointingHandCursor);
  setMinimumWidth(least_tile_width);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(10, 6, 10, 6);
  column->setSpacing(1);
  value_.setFont(scaled(font(), value_size, true));
  source_.setFont(scaled(font(), source_size, false));
  source_.setForegroundRole(QPalette::PlaceholderText);
  for (auto* line : {&value_, &label_, &source_}) column->addWidget(line);
  column->addStretch();
  const auto height = [](const QLabel& line) { return QFontMetrics(line.font()).height(); };
  setMinimumHeight(height(value_) + height(label_) + height(source_) + 18);
}

void FigureTile::show_figure(const KeyFigure& f, const QString& explanation) {
  key_ = text(f.key);
  value_.setText(f.unit.empty() ? text(f.value) : QStringLiteral("%1 %2").arg(text(f.value), text(f.unit)));
  label_.setText(text(f.label));
  source_.setText(f.inside ? text(f.source) : text(f.source) + QStringLiteral(" *"));
  setToolTip(explanation);
  setAccessibleName(QStringLiteral("%1: %2").arg(label_.text(), value_.text()));
  setObjectName(key_);
}

// F1 on a figure is about the figure, not the window's help.
bool FigureTile::event(QEvent* event) {
  if (event->type() == QEvent::ShortcutOverride && static_cast<QKeyEvent*>(event)->key() == Qt::Key_F1) event->accept();
  return QFrame::event(event);
}

void FigureTile::mousePressEvent(QMouseEvent* event) {
  if (event->button() == Qt::LeftButton) Q_EMIT asked(key_);
}

void FigureTile::keyPressEvent(QKeyEvent* event) {
  const bool asks = event->key() == Qt::Key_Return || event->key() == Qt::Key_Space || event->key() == Qt::Key_F1;
  if (asks) Q_EMIT asked(key_);
  else QFrame::keyPressEvent(event);
}

// A frame shows the keyboard's focus, as charts do.
void FigureTile::paintEvent(QPaintEvent* event) {
  QFrame::paintEvent(event);
  if (!hasFocus()) return;
  QPainter painter(this);
  painter.setPen(palette().color(QPalette::Highlight));
  painter.drawRect(rect().adjusted(0, 0, -1, -1));
}

AnswerPanel::AnswerPanel(QWidget* parent) : QWidget(parent) {
  setObjectName(QStringLiteral("answer"));
  auto* rows = new QVBoxLayout(this);
  auto* top = new QHBoxLayout;
  accent_.setFixedWidth(accent_width);
  accent_.setAutoFillBackground(true);
  sentence_.setWordWrap(true);
  sentence_.setFont(scaled(font(), sentence_size, true));
  sentence_.setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  sentence_.setObjectName(QStringLiteral("sentence"));
  sentence_.setMinimumHeight(2 * QFontMetrics(sentence_.font()).lineSpacing());  // what is below stays where it is while somebody types
  top->addWidget(&accent_);
  top->addWidget(&sentence_, 1);
  rows->addLayout(top);
  new QGridLayout(&area_);
  area_.layout()->setContentsMargins(0, 0, 0, 0);
  auto keeps = area_.sizePolicy();
  keeps.setRetainSizeWhenHidden(true);
  area_.setSizePolicy(keeps);
  rows->addWidget(&area_);
  rows->addStretch();
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
}

void AnswerPanel::show_answer(const SharedAnswer& answer) {
  const auto shown = key_figures(*answer);
  while (tiles_.size() < shown.size()) {
    tiles_.push_back(new FigureTile(&area_));
    connect(tiles_.back(), &FigureTile::asked, this, &AnswerPanel::asked);
    columns_ = 0;
  }
  for (std::size_t i = 0; i < shown.size(); ++i) tiles_[i]->show_figure(shown[i], text(explanation(*answer, shown[i].key)));
  area_.setVisible(!shown.empty());
  for (std::size_t i = 0; i < tiles_.size() && !shown.empty(); ++i) tiles_[i]->setVisible(i < shown.size());
  feasible_ = answer->faults.empty() && answer->report.feasible;
  sentence_.setText(sentence_of(*answer));
  sentence_.setAccessibleName(sentence_.text());
  colour();
  arrange();
}

void AnswerPanel::show_busy(bool busy) { sentence_.setEnabled(!busy); }

void AnswerPanel::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  arrange();
}

void AnswerPanel::changeEvent(QEvent* event) {
  QWidget::changeEvent(event);
  if (event->type() == QEvent::PaletteChange) colour();
}

void AnswerPanel::colour() {
  auto p = palette();
  p.setColor(QPalette::Window, series_colour(feasible_ ? 2 : 5, is_dark(p)));
  if (accent_.palette() != p) accent_.setPalette(p);
}

// As many tiles a row as there is room for, rows of equal length.
void AnswerPanel::arrange() {
  const auto count = static_cast<int>(std::ranges::count_if(tiles_, [](const FigureTile* t) { return !t->isHidden(); }));
  if (count == 0) return;
  const int most = std::max(1, width() / (least_tile_width + 6)), rows = (count + most - 1) / most, columns = (count + rows - 1) / rows;
  if (columns == columns_) return;
  columns_ = columns;
  auto* grid = static_cast<QGridLayout*>(area_.layout());
  for (int i = 0; i < static_cast<int>(tiles_.size()); ++i) grid->addWidget(tiles_[static_cast<std::size_t>(i)], i / columns, i % columns);
  for (int c = 0; c < grid->columnCount(); ++c) grid->setColumnStretch(c, c < columns ? 1 : 0);
}

}  // namespace fathom::gui
