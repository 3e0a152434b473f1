#include "gui/models/timeline_range.h"

#include <gmock/gmock.h>

namespace fathom::gui {
namespace {

TEST(TimelineRange, CountsThePartOfEachSpanThatLiesInside) {
  Chart c;
  c.y.categories = {"computation", "communication"};
  c.series.push_back({"compute", Look::spans, {{0, 0, 4, "", "gate\nx"}, {4, 0, 2, "", "norm\nx"}, {6, 0, 4, "", "gate\nx"}, {20, 0, 1, "", "late"}}});
  c.series.push_back({"wire", Look::spans, {{1, 1, 1, "", "dispatch"}}});
  const auto html = range_html(c, 2, 8);
  EXPECT_THAT(html, testing::StartsWith("<h3>From 2 to 8 ms: 6 ms</h3>"));
  EXPECT_THAT(html, testing::HasSubstr("<td>gate</td><td align=\"right\">2</td><td align=\"right\">4 ms</td><td align=\"right\">66.7 %</td>"));
  EXPECT_THAT(html, testing::HasSubstr("<td>norm</td><td align=\"right\">1</td><td align=\"right\">2 ms</td>"));
  EXPECT_THAT(html, testing::Not(testing::HasSubstr("late")));
  EXPECT_THAT(html, testing::Not(testing::HasSubstr("communication")));
  EXPECT_LT(html.find("gate"), html.find("norm"));
}

}  // namespace
}  // namespace fathom::gui
