#include "gui/widgets/quantity_edit.h"

#include <QKeyEvent>
#include <QPainter>
#include <QWheelEvent>

#include "gui/widgets/undo_keys.h"

namespace fathom::gui {
namespace {

constexpr int notch = 120, gap = 6;

}  // namespace

QuantityEdit::QuantityEdit(const QString& unit, QWidget* parent) : QLineEdit(parent), unit_(unit) {
  if (!unit_.isEmpty()) setTextMargins(0, 0, fontMetrics().horizontalAdvance(unit_) + gap, 0);
}

bool QuantityEdit::event(QEvent* e) { return leaves_undo(*e) || QLineEdit::event(e); }

void QuantityEdit::keyPressEvent(QKeyEvent* e) {
  if (is_undo(*e)) return e->ignore();
  if (e->key() == Qt::Key_Up || e->key() == Qt::Key_Down) {
    Q_EMIT steps_asked(e->key() == Qt::Key_Up ? 1 : -1);
  } else if (e->key() == Qt::Key_Escape) {
    Q_EMIT abandoned();
  } else {
    QLineEdit::keyPressEvent(e);
  }
}

void QuantityEdit::wheelEvent(QWheelEvent* e) {
  if (!hasFocus()) return e->ignore();  // what is around it scrolls
  turned_ += e->angleDelta().y();
  if (const int steps = turned_ / notch; steps != 0) Q_EMIT steps_asked(steps);
  turned_ %= notch;
  e->accept();
}

void QuantityEdit::paintEvent(QPaintEvent* e) {
  QLineEdit::paintEvent(e);
  if (unit_.isEmpty()) return;
  QPainter painter(this);
  painter.setPen(palette().color(QPalette::PlaceholderText));
  painter.drawText(rect().adjusted(0, 0, -gap, 0), Qt::AlignRight | Qt::AlignVCenter, unit_);
}

}  // namespace fathom::gui
