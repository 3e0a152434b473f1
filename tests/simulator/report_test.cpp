#include "simulator/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

namespace fathom::simulator {
namespace {

using testing::HasSubstr;
using testing::Not;

Report small() {
  Table rows{.key = "rows",
             .title = "Rows",
             .form = Form::rows,
             .fields = {{"name", "name", Kind::text}, {"time_ms", "time, ms", Kind::real}, {"secret", "secret", Kind::count, true}},
             .records = {{"", {std::string("first | \"a\""), 12345.678, std::int64_t{7}}}, {"", {std::string("second"), Cell{}, std::int64_t{8}}}}};
  Table sides{.key = "sides",
              .title = {},
              .form = Form::columns,
              .fields = {{"gpus", "GPUs", Kind::count}, {"none", "never shown", Kind::real}},
              .records = {{"left_side", {std::int64_t{1234567}, Cell{}}}, {"right", {std::int64_t{8}, Cell{}}}}};
  return {.answer = "it fits", .feasible = true, .tables = {rows, sides}, .notes = {"a note"}, .csv = {}};
}

TEST(Report, TerminalAlignsAndLeavesOutWhatIsForMachines) {
  EXPECT_EQ(to_terminal(small(), {}),
            "it fits\n"
            "\n"
            "Rows\n"
            "name         time, ms\n"
            "first | \"a\"    12,346\n"
            "second              -\n"
            "\n"
            "      left side  right\n"
            "GPUs  1,234,567      8\n"
            "\n"
            "* a note\n");
}

TEST(Report, ColourIsOnlyThereWhenAskedFor) {
  EXPECT_THAT(to_terminal(small(), {}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(to_terminal(small(), {.width = 80, .colour = true}), HasSubstr("\x1b[1mit fits\x1b[0m"));
}

TEST(Report, MarkdownEscapesBars) {
  const auto text = to_markdown(small());
  EXPECT_THAT(text, HasSubstr("| name | time, ms |\n|---|---:|\n| first \\| \"a\" | 12,346 |\n"));
  EXPECT_THAT(text, HasSubstr("### Rows\n"));
}

TEST(Report, CsvHoldsTheFirstTableInFullPrecision) {
  EXPECT_EQ(to_csv(small()), "name,time_ms,secret\n\"first | \"\"a\"\"\",12345.678,7\nsecond,,8\n");
  auto other = small();
  other.csv = other.tables[1];
  EXPECT_EQ(to_csv(other), "name,gpus,none\nleft_side,1234567,\nright,8,\n");
}

TEST(Report, JsonNamesUnitsAndKeepsOrder) {
  const auto text = to_json(small());
  EXPECT_THAT(text, HasSubstr("\"schema_version\": 1"));
  EXPECT_THAT(text, HasSubstr("\"time_ms\": 12345.678"));
  EXPECT_THAT(text, HasSubstr("\"left_side\": {\n      \"gpus\": 1234567,\n      \"none\": null"));
  EXPECT_LT(text.find("\"rows\""), text.find("\"sides\""));
  EXPECT_EQ(text, to_json(small()));
}

TEST(Report, JsonOfASingleColumnIsAnObject) {
  Report r{
      .answer = {}, .tables = {{.key = "one", .title = {}, .form = Form::columns, .fields = {{"x", "x"}}, .records = {{"", {1.5}}}}}, .notes = {}, .csv = {}};
  EXPECT_THAT(to_json(r), HasSubstr("\"one\": {\n    \"x\": 1.5\n  }"));
}

TEST(Report, TablesFitTheTerminal) {
  Table wide{.key = "w",
             .title = {},
             .form = Form::rows,
             .fields = {{"a", "a", Kind::text}, {"b", "b", Kind::text}, {"n", "n", Kind::count}},
             .records = {{"", {std::string(70, 'x'), std::string(60, 'y'), std::int64_t{123456789}}}}};
  const auto text = to_terminal({.answer = {}, .tables = {wide}, .notes = {}, .csv = {}}, {.width = 60});
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), 60U) << line;
  EXPECT_THAT(text, HasSubstr("123,456,789"));  // numbers are never cut
  EXPECT_THAT(text, HasSubstr("…"));
}

TEST(Report, ParagraphsPrintTheirHeadingOnce) {
  Table t{.key = "p",
          .title = {},
          .form = Form::paragraphs,
          .fields = {{"about", ""}, {"term", ""}, {"symbolic", "formula", Kind::text}},
          .records = {{"", {std::string("op"), std::string("bytes"), std::string("2 * n")}}, {"", {std::string("op"), std::string("flops"), Cell{}}}}};
  EXPECT_EQ(to_terminal({.answer = {}, .tables = {t}, .notes = {}, .csv = {}}, {}), "op\n  bytes\n    formula  2 * n\n  flops\n");
}

TEST(Report, NumbersAsPeopleReadThem) {
  EXPECT_EQ(shown(Cell{0.31237}, Kind::real), "0.3124");
  EXPECT_EQ(shown(Cell{12.0}, Kind::real), "12");
  EXPECT_EQ(shown(Cell{-1234.5}, Kind::real), "-1,235");
  EXPECT_EQ(shown(Cell{0.0}, Kind::real), "0");
  EXPECT_EQ(shown(Cell{1e-9}, Kind::real), "1e-09");
  EXPECT_EQ(shown(Cell{0.0423}, Kind::usd), "0.0423");
  EXPECT_EQ(shown(Cell{2.0}, Kind::usd), "2.00");
  EXPECT_EQ(shown(Cell{23.456}, Kind::fixed), "23.46");
  EXPECT_EQ(shown(Cell{99.96}, Kind::percent), "100.0");
  EXPECT_EQ(shown(Cell{std::int64_t{-1234567}}, Kind::count), "-1,234,567");
  EXPECT_EQ(shown(Cell{true}, Kind::text), "yes");
  EXPECT_EQ(shown(Cell{}, Kind::real), "-");
  EXPECT_EQ(shown(Cell{std::numeric_limits<double>::infinity()}, Kind::real), "-");
}

TEST(Report, WrappingBreaksAtSpacesAndHangs) {
  EXPECT_EQ(wrapped("one two three four", 9, 2), "one two\n  three\n  four");
  EXPECT_EQ(wrapped("    formula  a + b", 80), "    formula  a + b");
  EXPECT_EQ(wrapped("unbreakableword and", 5), "unbreakableword\nand");
  EXPECT_EQ(wrapped("", 5), "");
}

}  // namespace
}  // namespace fathom::simulator
