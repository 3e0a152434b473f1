#include "gui/widgets/chart_view.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <QApplication>
#include <QContextMenuEvent>
#include <QElapsedTimer>
#include <QLabel>
#include <QMenu>
#include <QScrollBar>
#include <QSignalSpy>
#include <QTest>
#include <algorithm>

#include "gui/widgets/chart_figure.h"
#include "gui/widgets/palette.h"

namespace fathom::gui {
namespace {

// Two rows of bars, spans or cells; lines and points at the same places.
Chart chart_of(Look look) {
  Chart c;
  c.title = "A chart";
  c.x.title = "Time, ms";
  c.y.categories = {"first", "second"};
  c.series = {{"one", look, {{.x = 2, .y = 0, .size = 2, .key = "a", .tip = "tip of a\nmore"}, {.x = 4, .y = 1, .size = 4, .key = "b", .tip = "tip of b"}}}};
  return c;
}

Chart curves() {
  Chart c;
  c.title = "Curves";
  c.x = {.title = "Size, GB", .categories = {}};
  c.y = {.title = "Rate, GB/s", .categories = {}};
  c.series = {{"rising", Look::line, {{1, 1, 0, "r1", "r one"}, {2, 2, 0, "r2", "r two"}, {3, 3, 0, "r3", "r three"}}},
              {"falling", Look::points, {{1, 3, 0, "f1", "f one"}, {3, 1, 0, "", "f two"}}}};
  return c;
}

class ChartViewTest : public testing::Test {
 protected:
  ChartViewTest() {
    QApplication::setPalette(palette_of(Theme::light));
    view.resize(600, 400);
    view.show();
  }
  ~ChartViewTest() override { QApplication::setPalette(palette_of(Theme::light)); }

  Figure& show(const Chart& chart) {
    view.set_chart(chart);
    return settle();
  }
  Figure& settle() {
    QApplication::processEvents();
    auto* figure = dynamic_cast<Figure*>(view.findChild<QCustomPlot*>());
    figure->replot();
    return *figure;
  }
  static QPoint pixel(const Figure& f, double x, double y) { return QPointF(f.xAxis->coordToPixel(x), f.yAxis->coordToPixel(y)).toPoint(); }
  QColor colour_at(const QPoint& figure_pixel) {
    const auto image = view.grab().toImage();
    return image.pixelColor(view.findChild<QCustomPlot*>()->mapTo(&view, figure_pixel) * image.devicePixelRatio());
  }
  void wheel(const QPoint& at, int delta) {
    auto* f = view.findChild<QCustomPlot*>();
    QWheelEvent e(at, f->mapToGlobal(at), {}, {0, delta}, Qt::NoButton, Qt::NoModifier, Qt::NoScrollPhase, false);
    QApplication::sendEvent(f, &e);
  }
  // QTest::mouseMove() moves the real pointer, which stays on the screen.
  void move_to(const QPoint& at, Qt::MouseButtons buttons = {}, Qt::KeyboardModifiers modifiers = {}) {
    auto* f = view.findChild<QCustomPlot*>();
    QMouseEvent e(QEvent::MouseMove, at, f->mapToGlobal(at), Qt::NoButton, buttons, modifiers);
    QApplication::sendEvent(f, &e);
  }
  void drag(const QPoint& from, const QPoint& to, Qt::KeyboardModifiers modifiers = {}) {
    auto* f = view.findChild<QCustomPlot*>();
    QTest::mousePress(f, Qt::LeftButton, modifiers, from);
    move_to(to, Qt::LeftButton, modifiers);
    QTest::mouseRelease(f, Qt::LeftButton, modifiers, to);
  }
  void click(const QPoint& at) { QTest::mouseClick(view.findChild<QCustomPlot*>(), Qt::LeftButton, {}, at); }
  // Runs an entry of the context menu; false: there is none.
  bool choose(const QString& text) {
    QContextMenuEvent e(QContextMenuEvent::Keyboard, view.rect().center(), view.mapToGlobal(view.rect().center()));
    QApplication::sendEvent(&view, &e);
    const std::unique_ptr<QMenu> menu(view.findChild<QMenu*>());
    for (auto* action : menu->actions())
      if (action->text() == text) return action->trigger(), true;
    return false;
  }
  QLabel* label(const char* name) { return view.findChild<QLabel*>(QLatin1String(name)); }

  ChartView view;
};

TEST_F(ChartViewTest, DrawsEveryLook) {
  for (const auto look : {Look::line, Look::dashed, Look::points, Look::bars, Look::spans}) {
    auto& f = show(chart_of(look));
    EXPECT_EQ(f.plottableCount(), 1);
    const auto place = *f.middle_of({0, 0});
    EXPECT_EQ(colour_at(place), series_colour(0, false)) << static_cast<int>(look);
    EXPECT_EQ(colour_at(pixel(f, 4.07, 0)), QColor(Qt::white)) << static_cast<int>(look);
  }
}

TEST_F(ChartViewTest, DrawsBoxesAsLongAsTheyAre) {
  auto& bars = show(chart_of(Look::bars));
  EXPECT_EQ(colour_at(pixel(bars, 0.1, 0)), series_colour(0, false));
  EXPECT_EQ(colour_at(pixel(bars, 2.1, 0)), QColor(Qt::white));
  auto& spans = show(chart_of(Look::spans));
  EXPECT_EQ(colour_at(pixel(spans, 1.9, 0)), QColor(Qt::white));
  EXPECT_EQ(colour_at(pixel(spans, 3.9, -0.3)), series_colour(0, false));
}

TEST_F(ChartViewTest, DrawsCellsByValueWithAScale) {
  auto c = chart_of(Look::cells);
  c.colour_title = "Rate, GB/s";
  auto& f = show(c);
  EXPECT_EQ(colour_at(*f.middle_of({0, 0})), heat_colour(0));
  EXPECT_EQ(colour_at(*f.middle_of({0, 1})), heat_colour(1));
  ASSERT_EQ(f.plotLayout()->columnCount(), 2);
  EXPECT_EQ(dynamic_cast<QCPColorScale*>(f.plotLayout()->element(1, 1))->label(), "Rate, GB/s");
  show(chart_of(Look::bars));
  EXPECT_EQ(f.plotLayout()->columnCount(), 1);
}

TEST_F(ChartViewTest, PutsTheFirstCategoryAtTheTop) {
  const auto& f = show(chart_of(Look::bars));
  EXPECT_LT(f.middle_of({0, 0})->y(), f.middle_of({0, 1})->y());
  EXPECT_EQ(f.yAxis->tickVectorLabels(), (QVector<QString>{"first", "second"}));
}

TEST_F(ChartViewTest, ShowsAxesAsTheModelSays) {
  auto c = curves();
  c.x.logarithmic = true;
  const auto& f = show(c);
  EXPECT_EQ(f.xAxis->scaleType(), QCPAxis::stLogarithmic);
  EXPECT_EQ(f.yAxis->scaleType(), QCPAxis::stLinear);
  EXPECT_EQ(f.xAxis->label(), "Size, GB");
}

TEST_F(ChartViewTest, SaysWhyThereIsNothing) {
  auto c = curves();
  show(c);
  c.empty = "Decode does not fit: it needs 97 GB of 80 GB.";
  view.set_chart(c);
  EXPECT_TRUE(label("message")->isVisible());
  EXPECT_EQ(label("message")->text(), "Decode does not fit: it needs 97 GB of 80 GB.");
  EXPECT_FALSE(view.findChild<QCustomPlot*>()->isVisible());
  EXPECT_EQ(view.accessibleDescription(), label("message")->text());
  show(curves());
  EXPECT_TRUE(view.findChild<QCustomPlot*>()->isVisible());
}

TEST_F(ChartViewTest, IsNamedForScreenReaders) {
  show(curves());
  EXPECT_EQ(view.accessibleName(), "Curves");
  EXPECT_EQ(view.accessibleDescription(), "2 series, 5 marks");
}

TEST_F(ChartViewTest, FollowsThePalette) {
  auto& f = show(curves());
  const auto ground = pixel(f, 1.7, 2.7);
  EXPECT_EQ(colour_at(ground), QColor(Qt::white));
  QApplication::setPalette(palette_of(Theme::dark));
  settle();
  EXPECT_EQ(colour_at(ground), palette_of(Theme::dark).color(QPalette::Base));
  EXPECT_EQ(colour_at(*f.middle_of({1, 0})).rgb(), series_colour(1, true).rgb());
}

TEST_F(ChartViewTest, WheelZoomsAboutThePointer) {
  auto& f = show(curves());
  const auto at = f.axisRect()->rect().topLeft() + QPoint(100, 60);
  const double x = f.xAxis->pixelToCoord(at.x()), y = f.yAxis->pixelToCoord(at.y());
  const auto before = f.xAxis->range();
  wheel(at, 120);
  EXPECT_LT(f.xAxis->range().size(), before.size());
  EXPECT_NEAR(f.xAxis->pixelToCoord(at.x()), x, 1e-9);
  EXPECT_NEAR(f.yAxis->pixelToCoord(at.y()), y, 1e-9);
}

TEST_F(ChartViewTest, WheelOverAnAxisZoomsThatAxis) {
  auto& f = show(curves());
  const auto x = f.xAxis->range(), y = f.yAxis->range();
  wheel({f.axisRect()->center().x(), f.axisRect()->bottom() + 12}, 120);
  EXPECT_LT(f.xAxis->range().size(), x.size());
  EXPECT_EQ(f.yAxis->range(), y);
}

TEST_F(ChartViewTest, CategoriesStayInPlace) {
  auto& f = show(chart_of(Look::bars));
  const auto x = f.xAxis->range(), y = f.yAxis->range();
  wheel(f.axisRect()->center(), 120);
  drag(f.axisRect()->center(), f.axisRect()->center() + QPoint(40, 40));
  EXPECT_NE(f.xAxis->range(), x);
  EXPECT_EQ(f.yAxis->range(), y);
}

TEST_F(ChartViewTest, ZoomEndsWhereNothingIsToBeSeen) {
  auto& f = show(curves());
  for (int i = 0; i < 200; ++i) wheel(f.axisRect()->center(), -120);
  EXPECT_LT(f.xAxis->range().size(), 20);
  for (int i = 0; i < 200; ++i) QTest::keyClick(&view, Qt::Key_Right);
  EXPECT_LT(f.xAxis->range().lower, 3.2);
}

TEST_F(ChartViewTest, DragPansAndDoubleClickResets) {
  auto& f = show(curves());
  const auto home = f.xAxis->range();
  drag(f.axisRect()->center(), f.axisRect()->center() + QPoint(50, 0));
  EXPECT_LT(f.xAxis->range().lower, home.lower);
  EXPECT_NEAR(f.xAxis->range().size(), home.size(), 1e-9);
  QTest::mouseDClick(&f, Qt::LeftButton, {}, f.axisRect()->center());
  EXPECT_EQ(f.xAxis->range(), home);
}

TEST_F(ChartViewTest, KeysZoomPanAndReset) {
  auto& f = show(curves());
  const auto home = f.xAxis->range();
  QTest::keyClick(&view, Qt::Key_Plus);
  EXPECT_LT(f.xAxis->range().size(), home.size());
  const auto near = f.xAxis->range();
  QTest::keyClick(&view, Qt::Key_Right);
  EXPECT_NEAR(f.xAxis->range().lower, near.lower + near.size() / 10, near.size() / 100);
  QTest::keyClick(&view, Qt::Key_0);
  EXPECT_EQ(f.xAxis->range(), home);
}

TEST_F(ChartViewTest, KeepsTheZoomOfTheSameChart) {
  auto c = curves();
  auto& f = show(c);
  c.series[0].marks[2].x = 30;
  show(c);
  EXPECT_GT(f.xAxis->range().upper, 30);  // nobody had zoomed
  wheel(f.axisRect()->center(), 120);
  const auto zoomed = f.xAxis->range();
  c.series[0].marks[2].x = 40;
  show(c);
  EXPECT_EQ(f.xAxis->range(), zoomed);
  c.title = "Other curves";
  show(c);
  EXPECT_GT(f.xAxis->range().upper, 40);
}

TEST_F(ChartViewTest, ClickTellsTheKey) {
  auto& f = show(curves());
  const QSignalSpy keys(&view, &ChartView::key_clicked);
  click(pixel(f, 2, 2));
  click(pixel(f, 1, 3));
  click(pixel(f, 3, 1));      // a mark that no view knows
  click(pixel(f, 1.5, 2.9));  // empty ground
  ASSERT_EQ(keys.size(), 4);
  EXPECT_EQ(keys[0][0].toString(), "r2");
  EXPECT_EQ(keys[1][0].toString(), "f1");
  EXPECT_EQ(keys[2][0].toString(), "");
  EXPECT_EQ(keys[3][0].toString(), "");
}

TEST_F(ChartViewTest, ClickFindsBoxesOfAnyLook) {
  const QSignalSpy keys(&view, &ChartView::key_clicked);
  for (const auto look : {Look::bars, Look::spans, Look::cells}) click(*show(chart_of(look)).middle_of({0, 1}));
  ASSERT_EQ(keys.size(), 3);
  for (const auto& k : keys) EXPECT_EQ(k[0].toString(), "b");
}

TEST_F(ChartViewTest, ShiftDragSelectsARange) {
  auto& f = show(curves());
  const QSignalSpy selected(&view, &ChartView::range_selected), cleared(&view, &ChartView::range_cleared);
  const auto home = f.xAxis->range();
  const auto from = pixel(f, 2.5, 2), to = pixel(f, 1.5, 1.2);
  drag(from, to, Qt::ShiftModifier);
  ASSERT_EQ(selected.size(), 1);
  EXPECT_EQ(selected[0][0].toDouble(), f.xAxis->pixelToCoord(to.x()));
  EXPECT_EQ(selected[0][1].toDouble(), f.xAxis->pixelToCoord(from.x()));
  EXPECT_EQ(f.xAxis->range(), home);
  settle();
  EXPECT_NE(colour_at(pixel(f, 2.1, 1.3)), QColor(Qt::white));
  QTest::keyClick(&view, Qt::Key_Escape);
  EXPECT_EQ(cleared.size(), 1);
  drag(from, to, Qt::ShiftModifier);
  click(pixel(f, 1.5, 2.9));
  EXPECT_EQ(cleared.size(), 2);
  EXPECT_FALSE(f.has_band());
}

TEST_F(ChartViewTest, RangeOfAnotherChartIsCleared) {
  auto& f = show(curves());
  const QSignalSpy cleared(&view, &ChartView::range_cleared);
  drag(pixel(f, 1.5, 2), pixel(f, 2.5, 2), Qt::ShiftModifier);
  show(curves());
  EXPECT_EQ(cleared.size(), 0);
  show(chart_of(Look::spans));
  EXPECT_EQ(cleared.size(), 1);
}

TEST_F(ChartViewTest, TipFollowsThePointerUntilPinned) {
  auto& f = show(curves());
  auto* tip = label("tip");
  move_to(pixel(f, 2, 2) + QPoint(6, 0));
  EXPECT_TRUE(tip->isVisible());
  EXPECT_EQ(tip->text(), "r two");
  move_to(pixel(f, 1.5, 2.9));
  EXPECT_FALSE(tip->isVisible());
  click(pixel(f, 3, 3));
  move_to(pixel(f, 1, 1));
  EXPECT_EQ(tip->text(), "r three");
  EXPECT_TRUE(view.rect().contains(tip->geometry()));
  QTest::keyClick(&view, Qt::Key_Escape);
  EXPECT_FALSE(tip->isVisible());
}

TEST_F(ChartViewTest, PinnedTipTellsWhatIsNewOfTheSameKey) {
  auto c = curves();
  click(pixel(show(c), 2, 2));
  c.series[0].marks[1].tip = "r two, faster";
  show(c);
  EXPECT_TRUE(label("tip")->isVisible());
  EXPECT_EQ(label("tip")->text(), "r two, faster");
  c.series[0].marks[1].key = "another";
  show(c);
  EXPECT_FALSE(label("tip")->isVisible());
}

TEST_F(ChartViewTest, TellsShortenedNamesInFull) {
  auto c = chart_of(Look::bars);
  c.y.categories[0] = "a name so long that it would leave no room at all for what the chart is about, the bars";
  auto& f = show(c);
  move_to({f.axisRect()->left() - 40, f.middle_of({0, 0})->y()});
  EXPECT_EQ(label("tip")->text().toStdString(), c.y.categories[0]);
  move_to({f.axisRect()->left() - 20, f.middle_of({0, 1})->y()});
  EXPECT_FALSE(label("tip")->isVisible());
}

TEST_F(ChartViewTest, SelectedMarkStandsOut) {
  auto& f = show(chart_of(Look::bars));
  const auto a = *f.middle_of({0, 0}), b = *f.middle_of({0, 1});
  view.set_selected("a");
  settle();
  EXPECT_EQ(colour_at(a), series_colour(0, false));
  EXPECT_GT(colour_at(b).lightness(), series_colour(0, false).lightness());
  view.set_selected("of another chart");
  settle();
  EXPECT_EQ(colour_at(b), series_colour(0, false));
}

TEST_F(ChartViewTest, LegendHidesSeries) {
  auto& f = show(curves());
  QPoint entry(40, 0);
  while (f.legend_entry_at(entry) != 0u) ASSERT_LT(entry.ry()++, 40);
  const QSignalSpy keys(&view, &ChartView::key_clicked);
  click(entry);
  settle();
  EXPECT_FALSE(f.plottable(0)->visible());
  EXPECT_TRUE(f.plottable(1)->visible());
  EXPECT_EQ(colour_at(pixel(f, 2.1, 2.1)), QColor(Qt::white));
  show(curves());
  EXPECT_FALSE(f.plottable(0)->visible());
  EXPECT_TRUE(choose("Show rising"));
  EXPECT_TRUE(f.plottable(0)->visible());
  EXPECT_EQ(keys.size(), 0);
}

TEST_F(ChartViewTest, OneSeriesNeedsNoLegend) {
  auto& f = show(chart_of(Look::bars));
  for (int y = 0; y < 40; ++y) EXPECT_FALSE(f.legend_entry_at({40., double(y)}));
  EXPECT_FALSE(choose("Hide one"));
}

TEST_F(ChartViewTest, MenuChangesScales) {
  auto& f = show(curves());
  wheel(f.axisRect()->center(), 120);
  ASSERT_TRUE(choose("Logarithmic x"));
  EXPECT_EQ(f.xAxis->scaleType(), QCPAxis::stLogarithmic);
  EXPECT_LT(f.xAxis->range().lower, 1);
  EXPECT_GT(f.xAxis->range().upper, 3);
  ASSERT_TRUE(choose("Logarithmic x"));
  EXPECT_EQ(f.xAxis->range().lower, 0);
  show(chart_of(Look::bars));
  EXPECT_FALSE(choose("Logarithmic x"));
  EXPECT_FALSE(choose("Logarithmic y"));
}

TEST_F(ChartViewTest, RowsWithoutRoomAreScrolled) {
  auto c = chart_of(Look::bars);
  for (int i = 2; i < 60; ++i) c.y.categories.push_back(fmt::format("row {}", i));
  auto& f = show(c);
  auto* rows = view.findChild<QScrollBar*>("rows");
  ASSERT_TRUE(rows->isVisible());
  EXPECT_LT(f.yAxis->tickVectorLabels().size(), 40);
  EXPECT_EQ(f.yAxis->tickVectorLabels().first(), "first");
  rows->setValue(rows->maximum());
  settle();
  EXPECT_EQ(f.yAxis->tickVectorLabels().last(), "row 59");
  show(chart_of(Look::bars));
  EXPECT_FALSE(rows->isVisible());
}

TEST_F(ChartViewTest, GuidesStandClearOfThePlot) {
  const int top = show(curves()).axisRect()->top();
  auto c = curves();
  c.guides = {{true, 2, "limit"}};
  auto& f = show(c);
  EXPECT_GE(f.axisRect()->top(), top + QFontMetrics(f.xAxis->tickLabelFont()).height());
  c.guides.push_back({true, 2.01, "limit beside it"});
  const int one = f.axisRect()->top();
  EXPECT_GT(show(c).axisRect()->top(), one);
}

TEST_F(ChartViewTest, HintsOnlyWhileItHelps) {
  show(curves());
  view.clearFocus();
  QEvent leave(QEvent::Leave);
  QApplication::sendEvent(&view, &leave);
  EXPECT_EQ(label("hint")->text(), "");
  QEnterEvent enter({}, {}, {});
  QApplication::sendEvent(&view, &enter);
  EXPECT_EQ(label("hint")->text(), "Wheel zooms, drag pans, double-click resets");
}

double best_milliseconds(ChartView& view, const Chart& chart) {
  auto* figure = view.findChild<QCustomPlot*>();
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    QElapsedTimer clock;
    clock.start();
    view.set_chart(chart);
    figure->replot();
    best = std::min(best, static_cast<double>(clock.nsecsElapsed()) * 1e-6);
  }
  return best;
}

TEST_F(ChartViewTest, IsQuick) {
  auto c = curves();
  for (auto& s : c.series)
    while (s.marks.size() < 100) s.marks.push_back({static_cast<double>(s.marks.size()), 1, 0, "key", "tip"});
  EXPECT_LT(best_milliseconds(view, c), 20);
  c.series = {{"cells", Look::cells, {}}};
  for (int i = 0; i < 2500; ++i) c.series[0].marks.push_back({static_cast<double>(i % 50), static_cast<double>(i / 50), static_cast<double>(i), "key", "tip"});
  EXPECT_LT(best_milliseconds(view, c), 50);
}

}  // namespace
}  // namespace fathom::gui
