// Shows any Diagram: drag pans, the wheel zooms at the pointer, a double click or 0 fits all; the arrow keys go from box to box.
#pragma once

#include <QGraphicsScene>
#include <QGraphicsView>

#include <optional>

#include "gui/models/diagram.h"

namespace fathom::gui {

struct Picture;

class DiagramView : public QGraphicsView {
  Q_OBJECT

 public:
  explicit DiagramView(QWidget* parent = nullptr);

  // A diagram of the same title keeps the part of it that is shown.
  void set_diagram(const Diagram&);
  void set_selected(const QString& key);
  [[nodiscard]] const QString& selected() const { return selected_; }
  void fit();
  // By the ending: PNG as on the screen, SVG and PDF on white. error: one line, if it fails.
  bool export_to(const QString& path, QString* error) const;

 Q_SIGNALS:
  void key_clicked(const QString& key);

 protected:
  void changeEvent(QEvent*) override;
  void contextMenuEvent(QContextMenuEvent*) override;
  void keyPressEvent(QKeyEvent*) override;
  void mouseDoubleClickEvent(QMouseEvent*) override;
  void mouseMoveEvent(QMouseEvent*) override;
  void mousePressEvent(QMouseEvent*) override;
  void mouseReleaseEvent(QMouseEvent*) override;
  void paintEvent(QPaintEvent*) override;
  void resizeEvent(QResizeEvent*) override;
  void wheelEvent(QWheelEvent*) override;

 private:
  // What is shown of a diagram, also after the window got another size: how it begins, all, or what the user has chosen.
  enum class Part : unsigned char { beginning, whole, chosen };

  void rebuild();
  void adjust();
  void show_at(double scale, bool from_top);
  void zoom(double factor);
  [[nodiscard]] double fitting_scale() const;
  [[nodiscard]] int selected_node() const;
  void select_towards(QPointF direction);
  [[nodiscard]] Picture picture(const QPalette&) const;

  QGraphicsScene scene_;
  Diagram diagram_;
  QString selected_;
  Part part_ = Part::beginning;
  std::optional<QPoint> pressed_, panned_;  // where the button went down; where the last pan ended
};

}  // namespace fathom::gui
