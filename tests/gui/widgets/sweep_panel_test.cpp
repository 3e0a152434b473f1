#include "gui/widgets/sweep_panel.h"

#include <gtest/gtest.h>

#include <QComboBox>
#include <QElapsedTimer>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QTest>

#include <memory>

namespace fathom::gui {
namespace {

struct SweepPanelTest : testing::Test {
  std::unique_ptr<SweepPanel> panel = std::make_unique<SweepPanel>();
  QSignalSpy ended{panel.get(), &SweepPanel::finished};
  std::vector<Chart> charts;

  SweepPanelTest() {
    QObject::connect(panel.get(), &SweepPanel::chart_changed, panel.get(), [this](const Chart& c) { charts.push_back(c); });
    panel->set_source("", "x.toml");
  }
  template <class Widget>
  Widget* find(const char* name) {
    auto* w = panel->findChild<Widget*>(QString::fromLatin1(name));
    EXPECT_TRUE(w) << name;
    return w;
  }
  void sweep_along(const char* axis, const char* key, const char* values) {
    auto* box = find<QComboBox>((std::string("sweep_key_") + axis).c_str());
    const int entry = box->findData(QString::fromLatin1(key));
    entry < 0 ? box->setEditText(QString::fromLatin1(key)) : box->setCurrentIndex(entry);
    find<QLineEdit>((std::string("sweep_values_") + axis).c_str())->setText(QString::fromLatin1(values));
  }
  void press_run() { QTest::mouseClick(find<QPushButton>("sweep_run"), Qt::LeftButton); }
  bool wait() { return ended.count() > 0 || ended.wait(5000); }
  std::string error(const char* axis) { return find<QLabel>((std::string("sweep_error_") + axis).c_str())->text().toStdString(); }
  std::string note() { return find<QLabel>("sweep_note")->text().toStdString(); }
};

TEST_F(SweepPanelTest, BeforeTheFirstRunTheChartSaysWhatToDo) {
  ASSERT_EQ(charts.size(), 1u);
  EXPECT_NE(charts[0].empty, "");
  EXPECT_EQ(find<QLineEdit>("sweep_values_x")->text(), "1..256 x2");
  EXPECT_FALSE(find<QLineEdit>("sweep_values_y")->isEnabled());
}

TEST_F(SweepPanelTest, RunsAndHandsOutAChart) {
  sweep_along("x", "workload.isl", "1k,2k");
  press_run();
  ASSERT_TRUE(wait());
  EXPECT_EQ(charts.back().x.title, "Input tokens");
  EXPECT_EQ(charts.back().series[0].marks.size(), 2u);
  EXPECT_NE(note().find("2 points in "), std::string::npos) << note();
  EXPECT_FALSE(panel->is_running());
}

TEST_F(SweepPanelTest, TwoParametersMakeAHeatMapAndAnyKeyMayBeTyped) {
  sweep_along("x", "model.q_lora_rank", "1024,1536");
  sweep_along("y", "decode.batch", "8,16");
  press_run();
  ASSERT_TRUE(wait());
  EXPECT_EQ(charts.back().x.title, "model.q_lora_rank");
  EXPECT_EQ(charts.back().series[0].look, Look::cells);
  EXPECT_EQ(charts.back().series[0].marks.size(), 4u);
}

TEST_F(SweepPanelTest, AnotherMetricIsShownWithoutAnotherRun) {
  sweep_along("x", "workload.isl", "1k,2k");
  press_run();
  ASSERT_TRUE(wait());
  const auto* before = panel->result();
  const auto first = charts.back();
  find<QComboBox>("sweep_metric")->setCurrentIndex(1);
  EXPECT_NE(charts.back().title, first.title);
  EXPECT_NE(charts.back().series[0].marks[0].y, first.series[0].marks[0].y);
  EXPECT_FALSE(panel->is_running());
  EXPECT_EQ(panel->result(), before);
}

TEST_F(SweepPanelTest, WrongValuesAreExplainedAtTheField) {
  auto* button = find<QPushButton>("sweep_run");
  sweep_along("x", "workload.isl", "1k..");
  EXPECT_NE(error("x").find("is not a number"), std::string::npos) << error("x");
  EXPECT_FALSE(find<QLabel>("sweep_error_x")->isHidden());
  EXPECT_FALSE(button->isEnabled());
  QTest::keyClick(find<QLineEdit>("sweep_values_x"), Qt::Key_Return);
  EXPECT_FALSE(panel->is_running());
  sweep_along("x", "workload.isl", "1k,2k");
  EXPECT_TRUE(find<QLabel>("sweep_error_x")->isHidden());
  EXPECT_TRUE(button->isEnabled());
  sweep_along("y", "workload.isl", "1,2");
  EXPECT_NE(error("y").find("along x already"), std::string::npos) << error("y");
  sweep_along("x", "decode.batch", "1..500 +1");
  sweep_along("y", "workload.isl", "1..500 +1");
  EXPECT_NE(error("y").find("250,000 points are more than 10,000"), std::string::npos) << error("y");
}

TEST_F(SweepPanelTest, ALongSweepCanBeCancelledAtOnce) {
  sweep_along("x", "workload.isl", "1000..50000 in 50");
  sweep_along("y", "decode.batch", "1..50 in 50");
  panel->run();
  EXPECT_TRUE(QTest::qWaitFor([&] { return find<QPushButton>("sweep_run")->text() == "Cancel"; }, 2000));
  QElapsedTimer timer;
  timer.start();
  press_run();
  EXPECT_FALSE(panel->is_running());
  EXPECT_EQ(note(), "Cancelled.");
  EXPECT_EQ(find<QPushButton>("sweep_run")->text(), "Run");
  panel.reset();  // waits for the threads
  EXPECT_LT(timer.elapsed(), 500);
  EXPECT_EQ(ended.count(), 0);
}

TEST_F(SweepPanelTest, AQuickSweepFollowsTheScenario) {
  sweep_along("x", "workload.isl", "300k");  // more than the model's context: quick on any machine
  press_run();
  ASSERT_TRUE(wait());
  EXPECT_NE(charts.back().empty.find("and 1000 output tokens"), std::string::npos) << charts.back().empty;
  ended.clear();
  panel->set_source("workload.osl = 500", "x.toml");
  EXPECT_TRUE(panel->is_running());
  ASSERT_TRUE(wait());
  EXPECT_NE(charts.back().empty.find("and 500 output tokens"), std::string::npos) << charts.back().empty;
}

TEST_F(SweepPanelTest, TheNewestRunEndsTheOneBefore) {
  sweep_along("x", "workload.isl", "1000..50000 in 50");
  panel->run();
  sweep_along("x", "workload.isl", "3k");
  panel->run();
  ASSERT_TRUE(wait());
  QTest::qWait(20);
  EXPECT_EQ(ended.count(), 1);
  EXPECT_EQ(panel->result()->points.size(), 1u);
}

TEST_F(SweepPanelTest, OtherValuesMakeTheChartOutdated) {
  sweep_along("x", "workload.isl", "1k");
  panel->run();
  ASSERT_TRUE(wait());
  EXPECT_EQ(note().find("Outdated"), std::string::npos);
  sweep_along("x", "workload.isl", "1k,2k");
  EXPECT_EQ(note().find("Outdated: run again."), 0u) << note();
}

}  // namespace
}  // namespace fathom::gui
