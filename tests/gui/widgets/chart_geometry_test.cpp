#include "gui/widgets/chart_geometry.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fathom::gui {
namespace {

Mark at(double x, double y, double size = 0) { return {.x = x, .y = y, .size = size, .key = {}, .tip = {}}; }

Chart chart(std::vector<Series> series) {
  Chart c;
  c.series = std::move(series);
  return c;
}

void expect_extent(const Extent& e, double least, double most) {
  EXPECT_NEAR(e.least, least, 1e-9);
  EXPECT_NEAR(e.most, most, 1e-9);
}

Extent x_of(const Chart& c, bool log = false) { return home_of(c, boxes_of(c, {.log_x = log, .hidden = {}}), Qt::Horizontal, log); }

TEST(Boxes, OfBarsStandOnThoseBefore) {
  const auto c = chart({{"a", Look::bars, {at(3, 0), at(1, 1)}}, {"b", Look::bars, {at(2, 0), at(4, 1)}}});
  const auto boxes = boxes_of(c, {});
  EXPECT_EQ(boxes[1][0].left(), 3);
  EXPECT_EQ(boxes[1][0].right(), 5);
  EXPECT_EQ(boxes[1][1].left(), 1);
  EXPECT_EQ(boxes[1][1].center().y(), 1);
}

TEST(Boxes, OfHiddenBarsTakeNoPlace) {
  const auto c = chart({{"a", Look::bars, {at(3, 0)}}, {"b", Look::bars, {at(2, 0)}}});
  EXPECT_EQ(boxes_of(c, {.hidden = {"a"}})[1][0].left(), 0);
}

TEST(Boxes, OfSpansBeginWhereTheMarkIs) {
  const auto box = boxes_of(chart({{"a", Look::spans, {at(1, 2, 5)}}}), {})[0][0];
  EXPECT_EQ(box.left(), 1);
  EXPECT_EQ(box.right(), 6);
  EXPECT_EQ(box.center().y(), 2);
}

TEST(Boxes, OfCellsMeetHalfway) {
  const auto c = chart({{"a", Look::cells, {at(1, 10), at(4, 10), at(16, 10)}}});
  const auto even = boxes_of(c, {});
  EXPECT_EQ(even[0][0].right(), 2.5);
  EXPECT_EQ(even[0][1].right(), 10);
  EXPECT_EQ(even[0][0].left(), -0.5);  // as wide to the other side
  EXPECT_EQ(even[0][0].top(), 9.5);    // alone in its direction
  const auto log = boxes_of(c, {.log_x = true, .hidden = {}});
  EXPECT_NEAR(log[0][0].left(), 0.5, 1e-9);
  EXPECT_NEAR(log[0][1].right(), 8, 1e-9);
}

TEST(Boxes, OfCellsKeepToTheirCategories) {
  auto c = chart({{"a", Look::cells, {at(0, 0), at(3, 0)}}});
  c.x.categories = {"p", "q", "r", "s"};
  const auto boxes = boxes_of(c, {});
  EXPECT_EQ(boxes[0][0].right(), 0.5);
  EXPECT_EQ(boxes[0][1].left(), 2.5);
}

TEST(Home, BeginsAtZeroWhereThatCostsLittle) {
  expect_extent(x_of(chart({{"a", Look::points, {at(1, 0), at(11, 0)}}})), 0, 11.4);
  expect_extent(x_of(chart({{"a", Look::points, {at(10, 0), at(20, 0)}}})), 9.6, 20.4);
}

TEST(Home, OfLogarithmsLeavesOutWhatIsNotPositive) {
  const auto e = x_of(chart({{"a", Look::points, {at(0, 0), at(1, 0), at(100, 0)}}}), true);
  expect_extent(e, std::pow(100, -0.04), 100 * std::pow(100, 0.04));
}

TEST(Home, HoldsGuidesOfItsDirection) {
  auto c = chart({{"a", Look::points, {at(0, 0), at(10, 0)}}});
  c.guides = {{.vertical = true, .at = 100, .text = {}}, {.vertical = false, .at = 1000, .text = {}}};
  expect_extent(x_of(c), 0, 104);
}

TEST(Home, TakesWhatTheAxisAsksFor) {
  auto c = chart({{"a", Look::points, {at(0, 0), at(10, 0)}}});
  c.x.least = -3;
  c.x.most = 7;
  expect_extent(x_of(c), -3, 7);
  c.x.categories = {"p", "q"};
  expect_extent(x_of(c), -0.5, 1.5);
}

TEST(Home, OfCellsIsTheirs) { expect_extent(x_of(chart({{"a", Look::cells, {at(1, 0), at(2, 0)}}})), 0.5, 2.5); }

TEST(Home, OfNothingOrOneValueIsARange) {
  expect_extent(x_of({}), 0, 1.04);
  expect_extent(x_of({}, true), 1 / std::pow(10, 0.04), 10 * std::pow(10, 0.04));
  expect_extent(x_of(chart({{"a", Look::points, {at(-4, 0)}}})), -6.16, -1.84);
  expect_extent(x_of(chart({{"a", Look::points, {at(NAN, 0), at(4, 0)}}})), 0, 6.16);
}

TEST(Logarithm, NeedsPositiveNumbers) {
  auto c = chart({{"a", Look::points, {at(1, 0)}}});
  EXPECT_TRUE(can_be_logarithmic(c, Qt::Horizontal));
  EXPECT_FALSE(can_be_logarithmic(c, Qt::Vertical));
  c.x.categories = {"p"};
  EXPECT_FALSE(can_be_logarithmic(c, Qt::Horizontal));
  EXPECT_FALSE(can_be_logarithmic(chart({{"a", Look::bars, {at(1, 0)}}}), Qt::Horizontal));
}

TEST(Logarithm, DoesNotMindWhatHasNoValue) { EXPECT_TRUE(can_be_logarithmic(chart({{"a", Look::line, {at(1, 1), at(2, NAN)}}}), Qt::Vertical)); }

TEST(Heat, IsTheRangeOfTheCells) {
  expect_extent(heat_of(chart({{"a", Look::cells, {at(0, 0, 5), at(1, 0, 9), at(2, 0, NAN)}}, {"b", Look::points, {at(0, 0, 99)}}})), 5, 9);
  expect_extent(heat_of(chart({{"a", Look::cells, {at(0, 0, 5)}}})), 4.5, 5.5);
  expect_extent(heat_of({}), 0, 1);
}

}  // namespace
}  // namespace fathom::gui
