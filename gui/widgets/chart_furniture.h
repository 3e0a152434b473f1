// What stands around the data of a chart: its title and legend above, its guides.
#pragma once

#include <optional>
#include <vector>

#include "gui/widgets/series_plottable.h"

namespace fathom::gui {

// The title, and an entry for each series if there are several, in as many lines as they take.
class Header : public QCPLayoutElement {
 public:
  explicit Header(QCustomPlot* plot);

  void set_series(std::vector<SeriesPlottable*> series);
  void set_title(const QString& title) { title_ = title; }  // empty: none
  void set_look(const QFont& font, const QColor& text) { font_ = font, text_ = text; }
  [[nodiscard]] int height() const;
  [[nodiscard]] std::optional<std::size_t> entry_at(const QPointF&) const;

  [[nodiscard]] QSize minimumOuterSizeHint() const override { return {0, height()}; }
  [[nodiscard]] QSize maximumOuterSizeHint() const override { return {QWIDGETSIZE_MAX, height()}; }

 protected:
  void draw(QCPPainter*) override;

 private:
  [[nodiscard]] QFont title_font() const;
  [[nodiscard]] std::vector<QRect> entries() const;

  std::vector<SeriesPlottable*> series_;
  QString title_;
  QFont font_;
  QColor text_;
};

// Straight lines with their texts: those of vertical ones above the plot, those of horizontal ones where no data are.
class Guides : public QCPAbstractItem {
 public:
  explicit Guides(QCustomPlot* plot);

  void set_guides(std::vector<Guide> guides) { guides_ = std::move(guides); }
  void set_look(const QFont& font, const QColor& text, const QColor& ground) { font_ = font, text_ = text, ground_ = ground; }
  [[nodiscard]] int height_above() const;  // what the texts above the plot take

  double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }

 protected:
  void draw(QCPPainter*) override;

 private:
  struct Placed {
    const Guide* guide;
    double at;  // pixel
    QRectF text;
    int row;  // above the plot, from 0
  };
  [[nodiscard]] std::vector<Placed> vertical() const;
  void draw_text(QCPPainter*, const QRectF&, const Guide&) const;
  void draw_horizontal(QCPPainter*, const Guide&, std::vector<QRectF>& taken) const;
  [[nodiscard]] QSizeF size_of(const Guide&) const;

  std::vector<Guide> guides_;
  QFont font_;
  QColor text_, ground_;
};

}  // namespace fathom::gui
