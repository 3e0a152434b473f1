#include "gui/models/diagram.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fathom::gui {
namespace {

Diagram diagram(const std::vector<std::string>& nodes, const std::vector<std::pair<std::size_t, std::size_t>>& edges) {
  Diagram d;
  d.title = "test";
  for (const auto& n : nodes) d.nodes.push_back({.key = {}, .label = n, .detail = {}, .tip = {}});
  for (const auto& [from, to] : edges) d.edges.push_back({.from = from, .to = to, .label = {}, .bends = {}});
  lay_out(d);
  return d;
}

TEST(Diagram, ADiamondHasItsSidesBesideEachOther) {
  EXPECT_EQ(dump(diagram({"a", "b", "c", "d"}, {{0, 1}, {0, 2}, {1, 3}, {2, 3}})),
            "test\n"
            "0.625 0 a |  |  (0)\n"
            "0 1.8 b |  |  (0)\n"
            "1.25 1.8 c |  |  (0)\n"
            "0.625 3.6 d |  |  (0)\n"
            "a -> b\na -> c\nb -> d\nc -> d\n");
}

TEST(Diagram, LayersFollowTheLongestPath) {
  const auto d = diagram({"last", "b", "first"}, {{2, 0}, {1, 0}, {2, 1}});  // in no order at all
  EXPECT_EQ(d.nodes[2].at.y, 0);
  EXPECT_EQ(d.nodes[1].at.y, row_step);
  EXPECT_EQ(d.nodes[0].at.y, 2 * row_step);
}

TEST(Diagram, LongLinesPassBesideTheBoxes) {
  const auto d = diagram({"a", "b", "c"}, {{0, 1}, {1, 2}, {0, 2}});
  const auto& bends = d.edges[2].bends;
  ASSERT_EQ(bends.size(), 2u);
  EXPECT_EQ(bends[0].x, bends[1].x);
  EXPECT_GT(std::abs(bends[0].x - d.nodes[1].at.x), 0.5);
  EXPECT_DOUBLE_EQ(bends[0].y, row_step - 0.5);
  EXPECT_DOUBLE_EQ(bends[1].y, row_step + 0.5);
  EXPECT_TRUE(d.edges[0].bends.empty());
}

TEST(Diagram, OrderAvoidsCrossings) {
  const auto d = diagram({"a", "b", "under b", "under a"}, {{0, 3}, {1, 2}});
  EXPECT_EQ(d.nodes[0].at.x < d.nodes[1].at.x, d.nodes[3].at.x < d.nodes[2].at.x);
  EXPECT_DOUBLE_EQ(d.nodes[0].at.x, d.nodes[3].at.x);
}

TEST(Diagram, BoxesKeepTheirDistance) {
  const auto d = diagram({"a", "1", "2", "3", "4"}, {{0, 1}, {0, 2}, {0, 3}, {0, 4}});
  for (std::size_t i = 1; i < 5; ++i)
    for (std::size_t k = 1; k < i; ++k) EXPECT_GE(std::abs(d.nodes[i].at.x - d.nodes[k].at.x), column_step - 1e-9);
  EXPECT_NEAR(d.nodes[0].at.x, 1.5 * column_step, 1e-9);  // above their middle
}

TEST(Diagram, OfNothing) {
  EXPECT_TRUE(diagram({}, {}).nodes.empty());
  EXPECT_EQ(dump(Diagram{.title = "t", .nodes = {}, .edges = {}, .frames = {}, .empty = "why"}), "t\nempty: why\n");
}

}  // namespace
}  // namespace fathom::gui
