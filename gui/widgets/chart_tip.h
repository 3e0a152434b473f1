// Lines of text beside a point of a widget, staying inside it.
#pragma once

#include <QLabel>

namespace fathom::gui {

class ChartTip : public QLabel {
 public:
  explicit ChartTip(QWidget* parent);
  void show_beside(const QPoint&, const QString& text, bool pinned);

 protected:
  void paintEvent(QPaintEvent*) override;

 private:
  bool pinned_ = false;
};

}  // namespace fathom::gui
