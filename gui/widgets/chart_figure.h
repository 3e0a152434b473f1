// A chart drawn: axes, data, legend and guides. It answers what is where, and leaves what to do about it to ChartView.
#pragma once

#include <array>
#include <functional>
#include <optional>

#include "gui/widgets/chart_furniture.h"
#include "gui/widgets/chart_geometry.h"

namespace fathom::gui {

class Figure : public QCustomPlot {
 public:
  explicit Figure(QWidget* parent);

  // Keeps the zoom, hidden series and logarithmic axes of a chart with the same title and axes. Draws in the next turn of the event loop.
  void set_chart(const Chart&);
  [[nodiscard]] const Chart& chart() const { return chart_; }
  void set_hidden(const std::string& series, bool hidden);
  [[nodiscard]] bool hidden(const std::string& series) const { return shown_.hidden.contains(series); }
  void set_logarithmic(Qt::Orientation, bool);
  [[nodiscard]] bool logarithmic(Qt::Orientation o) const { return o == Qt::Horizontal ? shown_.log_x : shown_.log_y; }
  void set_selected(const std::string& key);
  void set_band(std::optional<QCPRange>);  // of x, marked from top to bottom
  [[nodiscard]] bool has_band() const { return band_->visible(); }
  void set_colours(const QPalette&);

  void reset_zoom();
  void zoom(double factor);           // about the middle; below 1: closer
  void pan(double right, double up);  // as shares of the plot
  // Rows of categories that find no room are scrolled, never squeezed.
  [[nodiscard]] int rows() const { return static_cast<int>(chart_.y.categories.size()); }
  [[nodiscard]] int rows_that_fit() const;
  [[nodiscard]] int first_row() const { return first_row_; }
  void set_first_row(int);

  [[nodiscard]] std::optional<MarkIndex> mark_at(const QPointF&) const;  // the nearest
  [[nodiscard]] const Mark& mark(const MarkIndex& i) const { return chart_.series[i.series].marks[i.mark]; }
  [[nodiscard]] std::optional<MarkIndex> mark_of(const std::string& key) const;
  [[nodiscard]] std::optional<QPoint> middle_of(const MarkIndex&) const;  // of what can be seen of it
  [[nodiscard]] std::optional<std::size_t> legend_entry_at(const QPointF& at) const { return header_->entry_at(at); }
  [[nodiscard]] QString shortened_name_at(const QPointF&) const;  // in full, of the category whose name is there without its middle

  // Calls draw(size) while the figure looks as on paper: with its title and all rows, in the colours of a palette.
  void on_paper(const QPalette&, const std::function<void(QSize)>& draw);

 private:
  struct Side {
    QCPAxis* axis;
    QCPRange home;
  };
  [[nodiscard]] const Axis& model(const Side& s) const { return s.axis == xAxis ? chart_.x : chart_.y; }
  [[nodiscard]] bool in_reach(const Side&, const QCPRange&) const;
  void rebuild(bool keep_zoom);
  void set_up(Side&, const Boxes&, bool keep_zoom);
  void set_up_colour_scale();
  void fit(QSize, bool all_rows);
  void fit_ticks(const Side&, QSize);
  [[nodiscard]] QSize room_of(QSize) const;  // what is left for the plot

  Chart chart_;
  Shown shown_;
  std::string selected_;
  std::array<Side, 2> sides_;
  std::vector<SeriesPlottable*> drawn_;
  Header* header_;
  Guides* guides_;
  QCPItemRect* band_;
  QCPColorScale* colour_scale_ = nullptr;
  QCPMarginGroup* margins_;
  int first_row_ = 0;
};

}  // namespace fathom::gui
