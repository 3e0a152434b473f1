#include "gui/models/table_model.h"

#include <gtest/gtest.h>

namespace fathom::gui {
namespace {

using namespace simulator;

Table table(Form form) {
  return {.key = "t",
          .title = "T",
          .form = form,
          .fields = {{"a_ms", "a, ms", Kind::real}, {"secret", "secret", Kind::real, true}, {"word", "word", Kind::text}, {"never", "never", Kind::real}},
          .records = {{"first_one", {Cell{1234.0}, Cell{1.0}, Cell{"x"}, Cell{}}}, {"second", {Cell{}, Cell{2.0}, Cell{"y"}, Cell{}}}}};
}
QString text(const TableModel& m, int row, int column) { return m.index(row, column).data().toString(); }
QString heading(const TableModel& m, int column) { return m.headerData(column, Qt::Horizontal, Qt::DisplayRole).toString(); }

TEST(TableModel, ALineForEachRecord) {
  TableModel m;
  m.set_table(table(Form::rows), {"k1", "k2"});
  ASSERT_EQ(m.rowCount(), 2);
  ASSERT_EQ(m.columnCount(), 3);  // the name, and neither what is for machines nor what never applies
  EXPECT_EQ(heading(m, 1), "a, ms");
  EXPECT_EQ(text(m, 0, 0), "first one");
  EXPECT_EQ(text(m, 0, 1), "1,234");
  EXPECT_EQ(text(m, 1, 1), "-");
  EXPECT_EQ(m.index(0, 1).data(TableModel::sort_role).toDouble(), 1234);
  EXPECT_TRUE(m.is_number(1));
  EXPECT_FALSE(m.is_number(2));
  EXPECT_EQ(m.index(1, 2).data(TableModel::key_role).toString(), "k2");
  EXPECT_EQ(m.row_of("k2"), 1);
  EXPECT_EQ(m.row_of("k3"), -1);
}

TEST(TableModel, ALineForEachFieldOfRecordsSideBySide) {
  TableModel m;
  m.set_table(table(Form::columns), {"k1", "k2"});
  ASSERT_EQ(m.rowCount(), 2);
  ASSERT_EQ(m.columnCount(), 3);
  EXPECT_EQ(heading(m, 1), "first one");
  EXPECT_EQ(text(m, 0, 0), "a, ms");
  EXPECT_EQ(text(m, 0, 1), "1,234");
  EXPECT_EQ(text(m, 1, 0), "word");
  EXPECT_EQ(text(m, 1, 2), "y");
  EXPECT_EQ(m.row_of("k2"), -1);
}

TEST(TableModel, TabsBetweenCells) {
  TableModel m;
  m.set_table(table(Form::rows), {});
  EXPECT_EQ(to_tsv(m, {1, 0}, {0, 1}), "\ta, ms\nsecond\t-\nfirst one\t1,234\n");
}

}  // namespace
}  // namespace fathom::gui
