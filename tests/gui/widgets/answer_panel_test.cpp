#include "gui/widgets/answer_panel.h"

#include <gtest/gtest.h>

#include <QApplication>

namespace fathom::gui {
namespace {

SharedAnswer answer_to(const char* scenario) { return std::make_shared<const Answer>(answer(scenario, "a.toml")); }

TEST(AnswerPanel, KeepsItsHeightWhileThereIsNoAnswer) {
  AnswerPanel panel;
  panel.resize(900, 300);
  panel.show_answer(answer_to(""));
  const int height = panel.sizeHint().height();
  panel.show_answer(answer_to("isl = "));
  EXPECT_EQ(panel.sizeHint().height(), height);
}

TEST(AnswerPanel, ATileShowsThatItHasTheKeyboard) {
  AnswerPanel panel;
  panel.show_answer(answer_to(""));
  panel.show();
  QApplication::setActiveWindow(&panel);  // a display without a window manager activates none
  auto* tile = panel.findChild<FigureTile*>();
  tile->clearFocus();
  const auto before = tile->grab().toImage();
  tile->setFocus();
  EXPECT_NE(tile->grab().toImage(), before);
}

}  // namespace
}  // namespace fathom::gui
