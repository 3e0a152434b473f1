#include "gui/widgets/chart_tip.h"

#include <QPainter>
#include <algorithm>

namespace fathom::gui {

ChartTip::ChartTip(QWidget* parent) : QLabel(parent) {
  setObjectName(QStringLiteral("tip"));
  setTextFormat(Qt::PlainText);
  setMargin(7);
  setAutoFillBackground(true);
  setBackgroundRole(QPalette::ToolTipBase);
  setForegroundRole(QPalette::ToolTipText);
  setAttribute(Qt::WA_TransparentForMouseEvents);
  hide();
}

void ChartTip::show_beside(const QPoint& at, const QString& text, bool pinned) {
  constexpr int away = 14, edge = 4;
  pinned_ = pinned;
  const auto room = parentWidget()->rect().adjusted(edge, edge, -edge, -edge);
  setText(text);
  setWordWrap(false);
  const bool wide = sizeHint().width() > room.width();
  setWordWrap(wide);
  resize(wide ? QSize(room.width(), heightForWidth(room.width())) : sizeHint());
  const auto beside = [](int point, int length, int low, int high) {
    const int after = point + away, before = point - away - length;
    return std::clamp(after + length <= high || before < low ? after : before, low, std::max(low, high - length));
  };
  move(beside(at.x(), width(), room.left(), room.right()), beside(at.y(), height(), room.top(), room.bottom()));
  show();
  raise();
}

void ChartTip::paintEvent(QPaintEvent* e) {
  QLabel::paintEvent(e);
  QPainter p(this);
  auto frame = palette().color(pinned_ ? QPalette::Highlight : QPalette::ToolTipText);
  if (!pinned_) frame.setAlphaF(0.4F);
  p.setPen(frame);
  p.drawRect(rect().adjusted(0, 0, -1, -1));
}

}  // namespace fathom::gui
