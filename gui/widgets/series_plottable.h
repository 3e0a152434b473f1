// One series of a chart on the plot, whatever its look.
#pragma once

#include <string>
#include <vector>

#include "gui/models/chart.h"
#include "gui/widgets/plot.h"

namespace fathom::gui {

class SeriesPlottable : public QCPAbstractPlottable {
 public:
  struct Colours {
    QColor series, text, ground;
    QCPRange heat;  // what the ends of the colour scale stand for
  };

  // `series` must outlive this; a box for each of its marks.
  SeriesPlottable(QCPAxis* x, QCPAxis* y, const Series& series, std::vector<QRectF> boxes);

  void set_colours(const Colours& colours) { colours_ = colours; }
  void set_selected(const std::string& key) { selected_ = key; }  // dims all other marks; empty: none
  [[nodiscard]] bool knows(const std::string& key) const;

  [[nodiscard]] QRectF pixels(std::size_t mark) const;
  [[nodiscard]] double distance(std::size_t mark, const QPointF& pixel) const;
  [[nodiscard]] bool covers(const QRectF& pixels) const;
  void draw_icon(QPainter*, const QRectF&) const;

  double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }
  QCPRange getKeyRange(bool& found, QCP::SignDomain) const override { return found = false, QCPRange(); }  // home_of() knows
  QCPRange getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const override { return found = false, QCPRange(); }

 protected:
  void draw(QCPPainter*) override;
  void drawLegendIcon(QCPPainter* p, const QRectF& r) const override { draw_icon(p, r); }

 private:
  [[nodiscard]] bool is_line() const { return series_.look == Look::line || series_.look == Look::dashed; }
  [[nodiscard]] bool is_boxes() const { return !is_line() && series_.look != Look::points; }
  // Of a line, without a value: a cross at the foot of the plot, so that it can be pointed at all the same.
  [[nodiscard]] bool is_missing(std::size_t mark) const;
  [[nodiscard]] double disc() const;  // pixels across, 0: none
  [[nodiscard]] QColor fill(const Mark&) const;
  [[nodiscard]] double opacity(const std::string& key) const;
  [[nodiscard]] std::vector<QPolygonF> runs() const;  // of the line, apart where a mark has no place
  void draw_line(QCPPainter*) const;
  void draw_discs(QCPPainter*) const;
  void draw_missing(QCPPainter*) const;
  void draw_boxes(QCPPainter*) const;
  void draw_label(QCPPainter*, const QRectF& box, const Mark&) const;
  void draw_selected(QCPPainter*) const;

  const Series& series_;
  std::vector<QRectF> boxes_;
  Colours colours_;
  std::string selected_;
};

}  // namespace fathom::gui
