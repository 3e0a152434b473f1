#include "gui/widgets/table_view.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QClipboard>
#include <QFile>
#include <QHeaderView>
#include <QLineEdit>
#include <QSignalSpy>
#include <QTableView>
#include <QTemporaryDir>
#include <QTest>

namespace fathom::gui {
namespace {

using namespace simulator;

Table steps(const std::vector<std::pair<std::string, double>>& rows) {
  Table t{.key = "steps", .title = "Steps", .form = Form::rows, .fields = {{"step", "step", Kind::text}, {"time_us", "us", Kind::real}}, .records = {}};
  for (const auto& [name, time] : rows) t.records.push_back({"", {Cell{name}, Cell{time}}});
  return t;
}

struct TableViewTest : testing::Test {
  TableView view;
  QTableView* table = view.findChild<QTableView*>("table");
  QLineEdit* filter = view.findChild<QLineEdit*>("table_filter");
  QSignalSpy clicks{&view, &TableView::key_clicked};

  TableViewTest() {
    view.resize(400, 300);
    view.set_table(steps({{"nine", 9}, {"ten", 10}, {"two", 2.5}}), {"k9", "k10", "k2"});
    view.show();
    QApplication::setActiveWindow(&view);  // a display without a window manager activates none, and no shortcut works
  }
  [[nodiscard]] QStringList column(int c) const {
    QStringList out;
    for (int r = 0; r < table->model()->rowCount(); ++r) out << table->model()->index(r, c).data().toString();
    return out;
  }
  void click_heading(int c) {
    const auto* header = table->horizontalHeader();
    QTest::mouseClick(header->viewport(), Qt::LeftButton, {}, {header->sectionViewportPosition(c) + 10, 8});
  }
  void click(int row) { QTest::mouseClick(table->viewport(), Qt::LeftButton, {}, table->visualRect(table->model()->index(row, 0)).center()); }
};

TEST_F(TableViewTest, SortsByValueAndBack) {
  EXPECT_EQ(column(1), (QStringList{"9", "10", "2.5"}));
  click_heading(1);
  EXPECT_EQ(column(1), (QStringList{"2.5", "9", "10"}));
  click_heading(1);
  EXPECT_EQ(column(1), (QStringList{"10", "9", "2.5"}));
  click_heading(1);
  EXPECT_EQ(column(1), (QStringList{"9", "10", "2.5"}));
}

TEST_F(TableViewTest, ClicksAndKeysEmitAndOthersSelectionsDoNot) {
  click(1);
  ASSERT_EQ(clicks.size(), 1);
  EXPECT_EQ(clicks[0][0].toString(), "k10");
  QTest::keyClick(table, Qt::Key_Down);
  ASSERT_EQ(clicks.size(), 2);
  EXPECT_EQ(view.selected(), "k2");
  view.set_selected("k9");
  EXPECT_EQ(clicks.size(), 2);
  EXPECT_EQ(view.selected_text(), "step\tus\nnine\t9\n");
  view.set_selected("");
  EXPECT_EQ(clicks.size(), 2);
  EXPECT_EQ(view.selected_text(), "step\tus\n");
}

TEST_F(TableViewTest, CopiesLinesAsTheyStand) {
  click_heading(1);
  table->setFocus();
  table->selectAll();
  QTest::keyClick(table, Qt::Key_C, Qt::ControlModifier);
  EXPECT_EQ(QApplication::clipboard()->text(), "step\tus\ntwo\t2.5\nnine\t9\nten\t10\n");
  table->setColumnHidden(0, true);
  EXPECT_EQ(view.selected_text(), "us\n2.5\n9\n10\n");
}

TEST_F(TableViewTest, FiltersByAnyWord) {
  QTest::keyClick(table, Qt::Key_F, Qt::ControlModifier);
  QTest::keyClicks(filter, "N");
  EXPECT_EQ(column(0), (QStringList{"nine", "ten"}));
  QTest::keyClick(filter, Qt::Key_Escape);
  EXPECT_EQ(column(0).size(), 3);
}

TEST_F(TableViewTest, ANewAnswerKeepsOrderWidthsAndSelection) {
  click_heading(1);
  view.set_selected("k10");
  table->setColumnWidth(0, 211);
  clicks.clear();
  view.set_table(steps({{"nine", 9}, {"ten", 1}, {"two", 2.5}}), {"k9", "k10", "k2"});
  EXPECT_EQ(column(1), (QStringList{"1", "2.5", "9"}));
  EXPECT_EQ(view.selected_text(), "step\tus\nten\t1\n");
  EXPECT_EQ(table->columnWidth(0), 211);
  EXPECT_EQ(clicks.size(), 0);
  const int before = table->columnWidth(1);
  view.set_table(steps({{"nine", 9}, {"ten", 123456789012}}), {"k9", "k10"});
  EXPECT_GT(table->columnWidth(1), before);  // it showed all before, so it does now
}

TEST_F(TableViewTest, ANewAnswerScrollsNothing) {
  std::vector<std::pair<std::string, double>> rows(100, {"row", 1});
  view.set_table(steps(rows), {"first"});
  view.set_selected("first");
  table->scrollToBottom();
  const int bottom = table->rowAt(0);
  EXPECT_GT(bottom, 50);
  view.set_table(steps(rows), {"first"});
  QApplication::processEvents();
  EXPECT_EQ(table->rowAt(0), bottom);
}

TEST_F(TableViewTest, AnEchoOfTheClickKeepsSeveralLines) {
  QObject::connect(&view, &TableView::key_clicked, &view, &TableView::set_selected);
  click(0);
  QTest::keyClick(table, Qt::Key_Down, Qt::ShiftModifier);
  EXPECT_EQ(view.selected_text(), "step\tus\nnine\t9\nten\t10\n");
}

TEST_F(TableViewTest, OtherColumnsStartAnew) {
  click_heading(1);
  table->setColumnHidden(0, true);
  auto t = steps({{"b", 2}, {"a", 1}});
  t.fields[1].heading = "ms";
  view.set_table(t, {});
  EXPECT_EQ(column(0), (QStringList{"b", "a"}));
  EXPECT_FALSE(table->isColumnHidden(0));
}

TEST_F(TableViewTest, RecordsSideBySideAreNotSorted) {
  auto t = steps({{"x", 2}, {"y", 1}});
  t.form = Form::columns;
  t.records[0].name = "prefill";
  t.records[1].name = "decode";
  view.set_table(t, {});
  EXPECT_EQ(column(0), (QStringList{"step", "us"}));
  EXPECT_EQ(column(2), (QStringList{"y", "1"}));
  click_heading(2);
  EXPECT_EQ(column(2), (QStringList{"y", "1"}));
}

TEST_F(TableViewTest, ExportsAllOfIt) {
  const QTemporaryDir folder;
  QString error;
  ASSERT_TRUE(view.export_csv(folder.filePath("a.csv"), &error)) << error.toStdString();
  QFile file(folder.filePath("a.csv"));
  ASSERT_TRUE(file.open(QIODevice::ReadOnly));
  EXPECT_EQ(file.readAll(), "step,time_us\nnine,9\nten,10\ntwo,2.5\n");
  EXPECT_FALSE(view.export_csv(folder.filePath("no/a.csv"), &error));
  EXPECT_TRUE(error.contains(": cannot be saved: ")) << error.toStdString();
}

}  // namespace
}  // namespace fathom::gui
