#include "gui/widgets/section.h"

#include <QStyleOption>
#include <QStylePainter>
#include <QVBoxLayout>

namespace fathom::gui {
namespace {

constexpr int arrow_width = 20, head_height = 30;

// Flat, under a line; drawn by hand, since a style sheet would not follow the palette.
class Head : public QToolButton {
 public:
  using QToolButton::QToolButton;
  [[nodiscard]] QSize sizeHint() const override { return {arrow_width + fontMetrics().horizontalAdvance(text()), head_height}; }

 protected:
  void paintEvent(QPaintEvent*) override {
    QStylePainter painter(this);
    painter.setPen(palette().color(QPalette::Mid));
    painter.drawLine(rect().topLeft(), rect().topRight());
    QStyleOption arrow;
    arrow.initFrom(this);
    arrow.rect = QRect(0, 0, arrow_width, height());
    painter.drawPrimitive(arrowType() == Qt::DownArrow ? QStyle::PE_IndicatorArrowDown : QStyle::PE_IndicatorArrowRight, arrow);
    painter.setPen(palette().color(hasFocus() ? QPalette::Link : QPalette::WindowText));
    painter.drawText(rect().adjusted(arrow_width, 0, 0, 0), Qt::AlignVCenter, text());
  }
};

}  // namespace

Section::Section(const QString& title, QWidget* parent)
    : QWidget(parent), title_(title), head_(new Head(this)), body_(new QWidget(this)), grid_(new QGridLayout(body_)) {
  setObjectName(QStringLiteral("section:") + title);
  auto bold = font();
  bold.setBold(true);
  head_->setFont(bold);
  head_->setObjectName(QStringLiteral("head:") + title);
  head_->setAccessibleName(title);
  head_->setCheckable(true);
  head_->setChecked(true);
  head_->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(head_);
  column->addWidget(body_);
  grid_->setContentsMargins(8, 2, 2, 8);
  grid_->setHorizontalSpacing(4);
  grid_->setVerticalSpacing(2);
  connect(head_, &QToolButton::toggled, this, [this] { arrange(); });
  set_problems(0);
  arrange();
}

void Section::set_forced_open(bool forced) {
  forced_ = forced;
  arrange();
}

void Section::set_problems(int count) {
  head_->setText(count == 0 ? title_ : count == 1 ? QStringLiteral("%1 (1 problem)").arg(title_) : QStringLiteral("%1 (%2 problems)").arg(title_).arg(count));
}

void Section::arrange() {
  const bool open = forced_ || head_->isChecked();
  head_->setArrowType(open ? Qt::DownArrow : Qt::RightArrow);
  body_->setVisible(open);
}

}  // namespace fathom::gui
