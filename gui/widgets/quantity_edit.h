// A line for one number with its unit: the arrow keys and, when it has the focus, the wheel ask for steps. Undo is left to the window.
#pragma once

#include <QLineEdit>

namespace fathom::gui {

class QuantityEdit : public QLineEdit {
  Q_OBJECT

 public:
  explicit QuantityEdit(const QString& unit, QWidget* parent = nullptr);

 Q_SIGNALS:
  void steps_asked(int steps);
  void abandoned();  // Escape

 protected:
  bool event(QEvent*) override;
  void keyPressEvent(QKeyEvent*) override;
  void wheelEvent(QWheelEvent*) override;
  void paintEvent(QPaintEvent*) override;

 private:
  QString unit_;
  int turned_ = 0;  // of the wheel, in eighths of a degree
};

}  // namespace fathom::gui
