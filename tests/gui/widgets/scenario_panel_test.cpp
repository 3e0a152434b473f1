#include "gui/widgets/scenario_panel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <QTest>
#include <QWheelEvent>

namespace fathom::gui {
namespace {

using testing::HasSubstr;

class Panel : public testing::Test {
 protected:
  Panel() {
    panel.show();
    QApplication::setActiveWindow(&panel);  // a display without a window manager activates none, and no shortcut works
    answered();
  }

  void answered() { panel.show_answer(std::make_shared<const Answer>(answer(document.text(), "x.toml"))); }
  void start(const std::string& toml) {
    document.start_new(toml);
    answered();
  }
  template <class Widget = QLineEdit>
  Widget& at(const char* name) {
    auto* found = panel.findChild<Widget*>(QString::fromLatin1(name));
    if (found == nullptr) throw std::runtime_error(name);
    return *found;
  }
  void type(const char* name, const char* text) {
    auto& edit = at(name);
    edit.setFocus();
    edit.selectAll();
    QTest::keyClicks(&edit, QString::fromLatin1(text));
  }

  Document document;
  ScenarioPanel panel{document};
};

TEST_F(Panel, ShowsWhatIsInForce) {
  EXPECT_EQ(at("workload.isl").text(), "4000");
  EXPECT_EQ(at("gpu_mem_fraction").text(), "90%");
  EXPECT_EQ(at("decode.layout.ep").text(), "144");
  EXPECT_EQ(at("model.index_topk").text(), "2048");
  EXPECT_EQ(at("decode.batch").text(), "auto");
  EXPECT_EQ(at<QComboBox>("model.name").currentText(), "deepseek-v3.2");
  EXPECT_EQ(at<QComboBox>("policy.cache").currentText(), "fp8");
  EXPECT_TRUE(at<QCheckBox>("policy.fused").isChecked());
  EXPECT_TRUE(at<QToolButton>("reset:workload.isl").isHidden());
  EXPECT_THAT(at("workload.isl").toolTip().toStdString(), HasSubstr("Default"));
  EXPECT_EQ(at("workload.isl").accessibleName(), "Input tokens");
}

TEST_F(Panel, TypingChangesTheDocumentAtOnce) {
  type("workload.isl", "8");
  EXPECT_EQ(document.text(), "\n[workload]\nisl = 8\n");
  QTest::keyClicks(&at("workload.isl"), "k");
  EXPECT_EQ(document.text(), "\n[workload]\nisl = 8000\n");
  answered();
  EXPECT_EQ(at("workload.isl").text(), "8k");  // as typed, while it has the focus
  EXPECT_EQ(document.undo().count(), 1);
  EXPECT_EQ(document.undo().undoText(), "Input tokens");
  QTest::keyClick(&at("workload.isl"), Qt::Key_Return);
  EXPECT_EQ(at("workload.isl").text(), "8000");
  EXPECT_THAT(at("workload.isl").toolTip().toStdString(), HasSubstr("Set in line 3"));
}

TEST_F(Panel, WhatIsHalfTypedStaysAndIsNotTaken) {
  type("workload.isl", "8kk");
  answered();
  EXPECT_EQ(at("workload.isl").text(), "8kk");
  EXPECT_EQ(document.text(), "\n[workload]\nisl = 8000\n");
  EXPECT_THAT(at<QLabel>("message:workload.isl").text().toStdString(), HasSubstr("Not a whole number"));
  QTest::keyClick(&at("workload.isl"), Qt::Key_Backspace);
  EXPECT_TRUE(at<QLabel>("message:workload.isl").isHidden());
  QTest::keyClicks(&at("workload.isl"), "x");
  QTest::keyClick(&at("workload.isl"), Qt::Key_Escape);
  EXPECT_EQ(at("workload.isl").text(), "8000");
}

TEST_F(Panel, ResetRemovesTheKey) {
  start("[workload]\nisl = 8000 # long\n");
  auto& button = at<QToolButton>("reset:workload.isl");
  EXPECT_FALSE(button.isHidden());
  button.click();
  EXPECT_EQ(document.text(), "[workload]\n");
  answered();
  EXPECT_EQ(at("workload.isl").text(), "4000");
  EXPECT_TRUE(button.isHidden());
  document.undo().undo();
  EXPECT_EQ(at("workload.isl").text(), "8000");
  type("workload.isl", "\b");  // an empty field is the default
  QTest::keyClick(&at("workload.isl"), Qt::Key_Return);
  EXPECT_EQ(document.text(), "[workload]\n");
}

TEST_F(Panel, UndoBringsTheOldValueBackEvenUnderTheCursor) {
  type("workload.isl", "8k");
  QTest::keyClick(&at("workload.isl"), Qt::Key_Z, Qt::ControlModifier);
  EXPECT_EQ(at("workload.isl").text(), "8k");  // undo is the window's
  document.undo().undo();
  EXPECT_EQ(at("workload.isl").text(), "4000");
  document.undo().redo();
  EXPECT_EQ(at("workload.isl").text(), "8000");
}

TEST_F(Panel, AFaultShowsAtItsFieldUntilItIsMended) {
  start("[workload]\nprefix = 5000\n");
  auto& message = at<QLabel>("message:workload.prefix");
  EXPECT_FALSE(message.isHidden());
  EXPECT_THAT(message.text().toStdString(), HasSubstr("must leave at least one"));
  EXPECT_EQ(at("workload.prefix").text(), "5000");
  EXPECT_EQ(at("workload.osl").text(), "1000");  // of the last answer that had values
  EXPECT_EQ(at<QToolButton>("head:Workload").text(), "Workload (1 problem)");
  type("workload.prefix", "3k");
  answered();
  EXPECT_TRUE(message.isHidden());
  EXPECT_EQ(at<QToolButton>("head:Workload").text(), "Workload");
}

TEST_F(Panel, WhatAnEarlierTextSetIsForgottenEvenWithoutAnAnswer) {
  start("system = \"h200_sxm\"\n[workload]\nisl = 8000\n");
  start("system = \"h20_sxm\"\n[workload]\nosl = 0\n");
  EXPECT_EQ(at("workload.isl").text(), "4000");
  EXPECT_EQ(at<QComboBox>("decode_system").currentText(), "h20_sxm");
}

TEST_F(Panel, WordsAreChosen) {
  auto& overlap = at<QComboBox>("decode.policy.overlap");
  overlap.setFocus();
  QTest::keyClick(&overlap, Qt::Key_Down);
  EXPECT_EQ(document.text(), "\n[decode.policy]\noverlap = \"two_batch\"\n");
  QTest::keyClick(&overlap, Qt::Key_Delete);
  EXPECT_EQ(document.text(), "\n[decode.policy]\n");
  QTest::mouseClick(&at<QCheckBox>("policy.fused"), Qt::LeftButton, {}, {8, at<QCheckBox>("policy.fused").height() / 2});
  EXPECT_THAT(document.text(), HasSubstr("[policy]\nfused = false\n"));
}

TEST_F(Panel, AModelIsTyped) {
  auto& model = at<QComboBox>("model.name");
  model.lineEdit()->setFocus();
  model.lineEdit()->selectAll();
  QTest::keyClicks(model.lineEdit(), "./my.toml");
  answered();
  EXPECT_EQ(model.currentText(), "./my.toml");
  EXPECT_EQ(document.text(), "");
  QTest::keyClick(model.lineEdit(), Qt::Key_Return);
  EXPECT_EQ(document.text(), "\n[model]\nname = \"./my.toml\"\n");
  start("model = \"deepseek-v3\"\n");
  EXPECT_EQ(model.currentText(), "deepseek-v3");
  EXPECT_FALSE(at("model.index_topk").isEnabled());  // it has no indexer
}

TEST_F(Panel, ArrowsAndTheWheelStep) {
  auto& isl = at("workload.isl");
  isl.setFocus();
  QTest::keyClick(&isl, Qt::Key_Up);
  EXPECT_EQ(document.text(), "\n[workload]\nisl = 8000\n");
  EXPECT_EQ(isl.text(), "8000");
  const auto turn = [&](int by) {
    QWheelEvent wheel({5, 5}, isl.mapToGlobal(QPointF{5, 5}), {}, {0, by}, {}, {}, Qt::NoScrollPhase, false);
    QCoreApplication::sendEvent(&isl, &wheel);
  };
  turn(-120);
  EXPECT_EQ(document.text(), "\n[workload]\nisl = 4000\n");
  at("workload.osl").setFocus();
  turn(-120);
  EXPECT_EQ(document.text(), "\n[workload]\nisl = 4000\n");
}

TEST_F(Panel, TheHitRateEditsThePrefix) {
  type("workload.prefix:share", "75");
  EXPECT_EQ(document.text(), "\n[workload]\nprefix = 3000\n");
  EXPECT_EQ(at("workload.prefix").text(), "3000");
  type("workload.isl", "6k");
  EXPECT_EQ(at("workload.prefix:share").text(), "50%");
}

TEST_F(Panel, AKeyOfBothPhasesWinsOverThoseOfOne) {
  start("[decode.policy]\ncache = \"fp8\"\n");
  auto& cache = at<QComboBox>("policy.cache");
  cache.setFocus();
  QTest::keyClick(&cache, Qt::Key_Up);
  EXPECT_EQ(document.text(), "[decode.policy]\n\n[policy]\ncache = \"bf16\"\n");
  document.undo().undo();
  EXPECT_EQ(document.text(), "[decode.policy]\ncache = \"fp8\"\n");
}

TEST_F(Panel, ResetOfAPhaseLeavesWhatIsSetForBoth) {
  start("[layout]\nep = 16\n[decode.layout]\nep = 32\n");
  EXPECT_EQ(at("prefill.layout.ep").text(), "16");
  EXPECT_EQ(at("decode.layout.ep").text(), "32");
  at<QToolButton>("reset:decode.layout.ep").click();
  EXPECT_EQ(at("decode.layout.ep").text(), "16");
  EXPECT_THAT(at("decode.layout.ep").toolTip().toStdString(), HasSubstr("Set in line 2 by layout.ep"));
  at<QToolButton>("reset:decode.layout.ep").click();
  EXPECT_EQ(document.text(), "[layout]\n[decode.layout]\n");
}

TEST_F(Panel, TheSearchFindsByNameAndKey) {
  at("search").setText("prefix");
  EXPECT_FALSE(at("workload.prefix").isHidden());
  EXPECT_TRUE(at<QWidget>("editor:workload.osl").isHidden());
  EXPECT_TRUE(at<QWidget>("section:Layout").isHidden());
  at("search").clear();
  EXPECT_FALSE(at<QWidget>("editor:workload.osl").isHidden());
}

TEST_F(Panel, GroupsCloseAndOpen) {
  auto& head = at<QToolButton>("head:Layout");
  head.setFocus();
  QTest::keyClick(&head, Qt::Key_Space);
  EXPECT_FALSE(at("decode.layout.ep").isVisible());
  at("search").setText("expert parallel");
  EXPECT_TRUE(at("decode.layout.ep").isVisible());  // what is searched for shows
  at("search").clear();
  QTest::mouseClick(&head, Qt::LeftButton);
  EXPECT_TRUE(at("decode.layout.ep").isVisible());
}

TEST_F(Panel, ATextThatCannotBeReadIsNotEditedHere) {
  start("isl = = 3\n");
  EXPECT_FALSE(at("workload.isl").isEnabled());
  EXPECT_THAT(at<QLabel>("notice").text().toStdString(), HasSubstr("line 1"));
  start("");
  EXPECT_TRUE(at("workload.isl").isEnabled());
  EXPECT_TRUE(at<QLabel>("notice").isHidden());
}

TEST_F(Panel, TheTabKeyGoesFromFieldToField) {
  const QStringList expected{"prefill.layout.tp", "decode.layout.tp", "prefill.layout.dp", "decode.layout.dp"};
  at("prefill.layout.tp").setFocus();
  for (const auto& name : expected) {
    EXPECT_EQ(panel.focusWidget()->objectName(), name);
    QTest::keyClick(panel.focusWidget(), Qt::Key_Tab);
  }
}

}  // namespace
}  // namespace fathom::gui
