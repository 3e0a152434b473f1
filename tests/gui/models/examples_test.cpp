#include "gui/models/examples.h"

#include <gtest/gtest.h>

#include "gui/models/answer.h"

namespace fathom::gui {
namespace {

TEST(Examples, AllFit) {
  ASSERT_EQ(examples().size(), 3u);
  EXPECT_EQ(examples()[1].name, "One node of H200");
  for (const auto& e : examples()) {
    const auto a = answer(e.text, e.name);
    EXPECT_TRUE(a.faults.empty()) << e.name;
    EXPECT_TRUE(a.report.feasible) << e.name << ": " << a.report.answer;
  }
}

}  // namespace
}  // namespace fathom::gui
