#include "gui/widgets/series_plottable.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gui/widgets/chart_geometry.h"

namespace fathom::gui {
namespace {

// A line over a hundred pixels each way with a point in the middle that has no value.
class Gap : public testing::Test {
 protected:
  Gap() {
    plot_.axisRect()->setOuterRect({0, 0, 100, 100});
    plot_.axisRect()->setAutoMargins(QCP::msNone);
    plot_.axisRect()->setMargins({});
    plot_.axisRect()->update(QCPLayoutElement::upLayout);
    for (auto* axis : {plot_.xAxis, plot_.yAxis}) axis->setRange(0, 10);
    chart_.series = {{.name = "a", .look = Look::line, .marks = {mark(0, 5), mark(5, NAN), mark(10, 5)}}};
    line_ = new SeriesPlottable(plot_.xAxis, plot_.yAxis, chart_.series[0], boxes_of(chart_, {})[0]);
  }
  static Mark mark(double x, double y) { return {.x = x, .y = y, .key = {}, .tip = {}}; }

  QCustomPlot plot_;
  Chart chart_;
  SeriesPlottable* line_ = nullptr;
};

TEST_F(Gap, IsNotDrawnAcross) {
  EXPECT_FALSE(line_->covers({45, 45, 10, 10}));
  chart_.series[0].marks[1].y = 5;
  const auto whole = new SeriesPlottable(plot_.xAxis, plot_.yAxis, chart_.series[0], boxes_of(chart_, {})[0]);
  EXPECT_TRUE(whole->covers({45, 45, 10, 10}));
}

TEST_F(Gap, StandsAtTheFootOfThePlot) {
  const auto at = line_->pixels(1).center();
  EXPECT_NEAR(at.x(), 50, 1);
  EXPECT_NEAR(at.y(), 95, 5);
  EXPECT_LT(line_->distance(1, {50, 92}), 4);
  EXPECT_GT(line_->distance(1, {50, 50}), 30);
}

TEST_F(Gap, ShowsWhereItIs) {
  line_->set_colours({.series = Qt::red, .text = Qt::black, .ground = Qt::white, .heat = {}});
  const auto image = plot_.toPixmap(100, 100).toImage();
  const auto at = line_->pixels(1).center().toPoint();
  EXPECT_GT(qRed(image.pixel(at)), qGreen(image.pixel(at)) + 100);
  EXPECT_EQ(image.pixel(25, 50), image.pixel(75, 50));
  EXPECT_EQ(qGreen(image.pixel(50, 50)), 255);
}

}  // namespace
}  // namespace fathom::gui
