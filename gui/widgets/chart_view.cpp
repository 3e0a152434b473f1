#include "gui/widgets/chart_view.h"

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenu>
#include <QPainter>
#include <QScrollBar>
#include <QStackedWidget>
#include <QVBoxLayout>
#include <algorithm>

#include "gui/widgets/chart_export.h"
#include "gui/widgets/chart_figure.h"
#include "gui/widgets/chart_tip.h"
#include "gui/widgets/picture.h"
#include "gui/widgets/save_dialog.h"

namespace fathom::gui {
namespace {

bool moved(const QPoint& a, const QPoint& b) { return (a - b).manhattanLength() > 3; }

bool has_spans(const Chart& chart) {
  return std::any_of(chart.series.begin(), chart.series.end(), [](const Series& s) { return s.look == Look::spans; });
}

QString described(const Chart& chart) {
  std::size_t marks = 0;
  for (const auto& s : chart.series) marks += s.marks.size();
  return QStringLiteral("%1 series, %2 %3").arg(chart.series.size()).arg(marks).arg(QLatin1String(marks == 1 ? "mark" : "marks"));
}

QLabel* muted_label(const char* name) {
  auto* label = new QLabel;
  label->setObjectName(QLatin1String(name));
  label->setTextFormat(Qt::PlainText);
  label->setAlignment(Qt::AlignCenter);
  label->setForegroundRole(QPalette::PlaceholderText);
  return label;
}

}  // namespace

ChartView::ChartView(QWidget* parent)
    : QWidget(parent),
      pages_(new QStackedWidget),
      figure_(new Figure(this)),
      rows_(new QScrollBar(Qt::Vertical)),
      hint_(muted_label("hint")),
      message_(muted_label("message")),
      tip_(new ChartTip(this)) {
  setFocusPolicy(Qt::StrongFocus);
  setAutoFillBackground(true);
  setBackgroundRole(QPalette::Base);
  make_layout();
  connect_figure();
}

void ChartView::make_layout() {
  rows_->hide();
  rows_->setObjectName(QStringLiteral("rows"));
  rows_->setAccessibleName(QStringLiteral("Rows of the chart"));
  hint_->setFixedHeight(hint_->fontMetrics().height() + 4);
  message_->setWordWrap(true);
  message_->setMargin(24);
  auto* plot = new QWidget;
  auto* grid = new QGridLayout(plot);
  grid->setContentsMargins({});
  grid->setSpacing(0);
  grid->setColumnStretch(0, 1);
  grid->addWidget(figure_, 0, 0);
  grid->addWidget(rows_, 0, 1);
  grid->addWidget(hint_, 1, 0, 1, 2);
  auto* frame = new QVBoxLayout(this);
  frame->setContentsMargins(1, 1, 1, 1);  // for the frame that shows the focus
  frame->addWidget(pages_);
  pages_->addWidget(plot);
  pages_->addWidget(message_);
}

void ChartView::connect_figure() {
  connect(figure_, &QCustomPlot::mousePress, this, &ChartView::press);
  connect(figure_, &QCustomPlot::mouseMove, this, &ChartView::move);
  connect(figure_, &QCustomPlot::mouseRelease, this, &ChartView::release);
  connect(figure_, &QCustomPlot::mouseWheel, this, &ChartView::wheel);
  connect(figure_, &QCustomPlot::mouseDoubleClick, figure_, &Figure::reset_zoom);
  connect(figure_, &QCustomPlot::afterReplot, this, &ChartView::after_replot);
  connect(rows_, &QScrollBar::valueChanged, figure_, &Figure::set_first_row);
}

void ChartView::set_chart(const Chart& chart) {
  setAccessibleName(QString::fromStdString(chart.title));
  message_->setText(QString::fromStdString(chart.empty));
  pages_->setCurrentIndex(chart.empty.empty() ? 0 : 1);
  setAccessibleDescription(chart.empty.empty() ? described(chart) : message_->text());
  if (!chart.empty.empty()) return tip_->hide();  // the figure keeps its chart, and so the zoom for when there is one again
  const auto key = pinned_ ? figure_->mark(*pinned_).key : std::string();
  const bool had_range = figure_->has_band();
  figure_->set_chart(chart);
  pin(key.empty() ? std::nullopt : figure_->mark_of(key));
  if (had_range && !figure_->has_band()) Q_EMIT range_cleared();
  show_hint();
}

void ChartView::set_selected(const QString& key) { figure_->set_selected(key.toStdString()); }

bool ChartView::export_to(const QString& path, QString* error) {
  if (message_->text().isEmpty()) return export_figure(*figure_, path, error);
  *error = QStringLiteral("%1: cannot be saved: %2").arg(path, message_->text());
  return false;
}

void ChartView::press(QMouseEvent* e) {
  if (e->button() != Qt::LeftButton) return;
  press_ = {e->pos(), e->modifiers().testFlag(Qt::ShiftModifier) && figure_->chart().x.categories.empty()};
  figure_->setInteraction(QCP::iRangeDrag, !press_->selects);
}

void ChartView::move(QMouseEvent* e) {
  if (!press_) return hover(e->pos());
  if (!moved(e->pos(), press_->at)) return;
  if (press_->selects) mark_range(e->pos(), false);
  if (!pinned_) tip_->hide();
}

void ChartView::release(QMouseEvent* e) {
  if (e->button() != Qt::LeftButton || !press_) return;  // the second release of a double click has no press
  if (!moved(e->pos(), press_->at)) click(e->pos());
  else if (press_->selects) mark_range(e->pos(), true);
  press_.reset();
}

void ChartView::wheel(QWheelEvent* e) {
  if (!pinned_) tip_->hide();
  if (rows_->isVisible() && e->position().x() < figure_->axisRect()->left()) QApplication::sendEvent(rows_, e);
}

void ChartView::click(const QPoint& at) {
  if (const auto entry = figure_->legend_entry_at(at)) return toggle(figure_->chart().series[*entry].name);
  clear_range();
  const auto hit = figure_->mark_at(at);
  pin(hit);
  Q_EMIT key_clicked(hit ? QString::fromStdString(figure_->mark(*hit).key) : QString());
}

void ChartView::toggle(const std::string& series) { figure_->set_hidden(series, !figure_->hidden(series)); }

void ChartView::hover(const QPoint& at) {
  const auto hit = figure_->mark_at(at);
  const bool answers = (hit && !figure_->mark(*hit).key.empty()) || figure_->legend_entry_at(at);
  figure_->setCursor(answers ? Qt::PointingHandCursor : Qt::ArrowCursor);
  if (pinned_) return;
  const auto text = hit ? QString::fromStdString(figure_->mark(*hit).tip) : figure_->shortened_name_at(at);
  if (text.isEmpty()) tip_->hide();
  else tip_->show_beside(figure_->mapTo(this, at), text, false);
}

void ChartView::pin(std::optional<MarkIndex> mark) {
  pinned_ = mark && !figure_->mark(*mark).tip.empty() ? mark : std::nullopt;
  place_pinned_tip();
}

void ChartView::place_pinned_tip() {
  const auto at = pinned_ ? figure_->middle_of(*pinned_) : std::nullopt;
  if (at) tip_->show_beside(figure_->mapTo(this, *at), QString::fromStdString(figure_->mark(*pinned_).tip), true);
  else tip_->hide();
}

void ChartView::mark_range(const QPoint& to, bool done) {
  const auto* plot = figure_->axisRect();
  const auto value = [&](int x) { return figure_->xAxis->pixelToCoord(std::clamp(x, plot->left(), plot->right())); };
  const QCPRange range(value(press_->at.x()), value(to.x()));
  figure_->set_band(range);
  if (done) Q_EMIT range_selected(range.lower, range.upper);
}

void ChartView::clear_range() {
  if (!figure_->has_band()) return;
  figure_->set_band({});
  Q_EMIT range_cleared();
}

bool ChartView::escape() {
  if (!pinned_ && !figure_->has_band()) return false;
  if (pinned_) pin({});
  else clear_range();
  return true;
}

void ChartView::step_up(int rows) {
  if (rows_->isVisible()) rows_->setValue(rows_->value() - rows);
  else figure_->pan(0, rows * 0.1);
}

bool ChartView::handle_key(const QKeyEvent& e) {
  constexpr double step = 0.1, closer = 0.8;
  switch (e.key()) {
    case Qt::Key_Plus:
    case Qt::Key_Equal: return figure_->zoom(closer), true;
    case Qt::Key_Minus: return figure_->zoom(1 / closer), true;
    case Qt::Key_0: return figure_->reset_zoom(), true;
    case Qt::Key_Left: return figure_->pan(-step, 0), true;
    case Qt::Key_Right: return figure_->pan(step, 0), true;
    case Qt::Key_Up: return step_up(1), true;
    case Qt::Key_Down: return step_up(-1), true;
    case Qt::Key_Escape: return escape();
    case Qt::Key_F10: return e.modifiers() == Qt::ShiftModifier && (show_menu(mapToGlobal(rect().center())), true);
    default: return false;
  }
}

void ChartView::keyPressEvent(QKeyEvent* e) {
  if (!handle_key(*e)) QWidget::keyPressEvent(e);
}

bool ChartView::event(QEvent* e) {
  const bool done = QWidget::event(e);
  switch (e->type()) {
    case QEvent::Leave:
    case QEvent::Resize:
      if (!pinned_) tip_->hide();
      [[fallthrough]];
    case QEvent::Enter:
    case QEvent::FocusIn:
    case QEvent::FocusOut:
      show_hint();
      update();
      break;
    case QEvent::PaletteChange:
    case QEvent::FontChange: figure_->set_colours(palette()); break;
    default: break;
  }
  return done;
}

void ChartView::paintEvent(QPaintEvent*) {
  if (!hasFocus()) return;
  QPainter p(this);
  p.setPen(palette().color(QPalette::Highlight));
  p.drawRect(rect().adjusted(0, 0, -1, -1));
}

void ChartView::after_replot() {
  const int fit = figure_->rows_that_fit(), more = std::max(0, figure_->rows() - fit);
  const QSignalBlocker quiet(rows_);
  rows_->setRange(0, more);
  rows_->setPageStep(fit);
  rows_->setValue(figure_->first_row());
  rows_->setVisible(more > 0);
  if (pinned_) place_pinned_tip();
}

void ChartView::show_hint() {
  const auto hint = QStringLiteral("Wheel zooms, drag pans, double-click resets");
  const auto range = has_spans(figure_->chart()) ? QStringLiteral(", Shift+drag selects a range") : QString();
  hint_->setText(underMouse() || hasFocus() ? hint + range : QString());
}

void ChartView::contextMenuEvent(QContextMenuEvent* e) { show_menu(e->globalPos()); }

void ChartView::show_menu(const QPoint& global) {
  if (!message_->text().isEmpty()) return;
  auto* menu = new QMenu(this);
  menu->setAttribute(Qt::WA_DeleteOnClose);
  menu->addAction(QStringLiteral("Reset zoom"), figure_, &Figure::reset_zoom);
  add_axis_actions(menu);
  add_series_actions(menu);
  menu->addSeparator();
  menu->addAction(QStringLiteral("Copy as picture"), this, [this] { QApplication::clipboard()->setImage(picture_of(*figure_)); });
  menu->addAction(QStringLiteral("Copy data (CSV)"), this, [this] { QApplication::clipboard()->setText(QString::fromStdString(to_csv(figure_->chart()))); });
  menu->addAction(QStringLiteral("Export…"), this, &ChartView::ask_and_export);
  menu->popup(global);
}

void ChartView::add_axis_actions(QMenu* menu) {
  for (const auto o : {Qt::Horizontal, Qt::Vertical}) {
    if (!can_be_logarithmic(figure_->chart(), o)) continue;
    auto* action = menu->addAction(QStringLiteral("Logarithmic %1").arg(QLatin1Char(o == Qt::Horizontal ? 'x' : 'y')));
    action->setCheckable(true);
    action->setChecked(figure_->logarithmic(o));
    connect(action, &QAction::toggled, figure_, [this, o](bool on) { figure_->set_logarithmic(o, on); });
  }
}

void ChartView::add_series_actions(QMenu* menu) {
  const auto& series = figure_->chart().series;
  if (series.size() < 2) return;
  menu->addSeparator();
  for (const auto& s : series) {
    const auto verb = figure_->hidden(s.name) ? QStringLiteral("Show %1") : QStringLiteral("Hide %1");
    menu->addAction(verb.arg(QString::fromStdString(s.name)), this, [this, name = s.name] { toggle(name); });
  }
}

void ChartView::ask_and_export() {
  const auto path = ask_where_to_save(
      this, QStringLiteral("Export chart"), QString::fromStdString(figure_->chart().title),
      {QStringLiteral("PNG picture (*.png)"), QStringLiteral("SVG drawing (*.svg)"), QStringLiteral("PDF page (*.pdf)"), QStringLiteral("CSV data (*.csv)")});
  if (QString error; !path.isEmpty() && !export_to(path, &error)) tell_failure(this, error);
}

}  // namespace fathom::gui
