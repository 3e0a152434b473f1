// The widget that shows any chart: zoomed, pointed at, exported.
#pragma once

#include <QWidget>
#include <optional>

#include "gui/models/chart.h"
#include "gui/widgets/chart_geometry.h"

class QLabel;
class QMenu;
class QScrollBar;
class QStackedWidget;

namespace fathom::gui {

class ChartTip;
class Figure;

class ChartView : public QWidget {
  Q_OBJECT

 public:
  explicit ChartView(QWidget* parent = nullptr);

  // Keeps the zoom, hidden series and logarithmic axes if title and axes are those of the chart before.
  void set_chart(const Chart&);
  // Marks with this key stand out; empty, or a key that the chart does not know: none.
  void set_selected(const QString& key);
  // As .png, .svg, .pdf or .csv, by the suffix of the path. False: *error says why.
  bool export_to(const QString& path, QString* error);

  [[nodiscard]] QSize sizeHint() const override { return {560, 360}; }
  [[nodiscard]] QSize minimumSizeHint() const override { return {240, 160}; }

 Q_SIGNALS:
  void key_clicked(const QString& key);  // empty: on nothing that other views know
  void range_selected(double from, double to);
  void range_cleared();

 protected:
  bool event(QEvent*) override;
  void contextMenuEvent(QContextMenuEvent*) override;
  void keyPressEvent(QKeyEvent*) override;
  void paintEvent(QPaintEvent*) override;

 private:
  struct Press {
    QPoint at;
    bool selects;  // a range, instead of moving the plot
  };
  void make_layout();
  void connect_figure();
  void press(QMouseEvent*);
  void move(QMouseEvent*);
  void release(QMouseEvent*);
  void wheel(QWheelEvent*);
  void click(const QPoint&);
  void toggle(const std::string& series);
  void hover(const QPoint&);
  void pin(std::optional<MarkIndex>);
  void place_pinned_tip();
  void mark_range(const QPoint& to, bool done);
  void clear_range();
  bool handle_key(const QKeyEvent&);
  bool escape();
  void step_up(int rows);
  void after_replot();
  void show_hint();
  void show_menu(const QPoint& global);
  void add_axis_actions(QMenu*);
  void add_series_actions(QMenu*);
  void ask_and_export();

  QStackedWidget* pages_;
  Figure* figure_;
  QScrollBar* rows_;
  QLabel* hint_;
  QLabel* message_;
  ChartTip* tip_;
  std::optional<Press> press_;
  std::optional<MarkIndex> pinned_;
};

}  // namespace fathom::gui
