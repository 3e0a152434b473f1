#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_spec/toml.h"

namespace fathom::model_spec {
namespace {

using ::testing::HasSubstr;

std::string edited(std::string_view text, std::string_view key, std::string_view literal) { return edit_toml(text, key, literal, "f.toml"); }

std::string refusal(std::string_view text, std::string_view key, std::string_view literal) {
  try {
    return "accepted: " + edited(text, key, literal);
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::usage);
    return e.what();
  }
}

TEST(EditToml, ReplacesOneValueAndNothingElse) {
  EXPECT_EQ(edited("# é\nb = 0x10   # keep\na = 'é日' # and this\n", "a", "\"x\""), "# é\nb = 0x10   # keep\na = \"x\" # and this\n");
  EXPECT_EQ(edited("a = 1\r\nb = [1, # one\r\n 2]\r\nc = 3", "b", "[]"), "a = 1\r\nb = []\r\nc = 3");
  EXPECT_EQ(edited("\xEF\xBB\xBF"
                   "a = 1\n",
                   "a", "2"),
            "\xEF\xBB\xBF"
            "a = 2\n");
  EXPECT_EQ(edited("t = { 'é' = 'é', x = 1 } # c\n", "t.x", "2.5"), "t = { 'é' = 'é', x = 2.5 } # c\n");
  EXPECT_EQ(edited("a = \"\"\"x\ny\"\"\" # c\n", "a", "'z'"), "a = 'z' # c\n");
}

TEST(EditToml, ReachesIntoTablesAndArrays) {
  const std::string text = "[model]\nindex_topk = 2048 # keys\n\n[[layers]]\nrepeat = 3\n[[layers]]\nrepeat = 58\n";
  EXPECT_EQ(edited(text, "model.index_topk", "1024"), "[model]\nindex_topk = 1024 # keys\n\n[[layers]]\nrepeat = 3\n[[layers]]\nrepeat = 58\n");
  EXPECT_EQ(edited(text, "layers.1.repeat", "5"), "[model]\nindex_topk = 2048 # keys\n\n[[layers]]\nrepeat = 3\n[[layers]]\nrepeat = 5\n");
  EXPECT_EQ(edited("a = [1, [2, 3]]", "a.1.0", "7"), "a = [1, [7, 3]]");
}

TEST(EditToml, AddsAKeyWhereItBelongs) {
  EXPECT_EQ(edited("a = 1 # one\n[t]\nb = 2\n", "c", "3"), "a = 1 # one\nc = 3\n[t]\nb = 2\n");
  EXPECT_EQ(edited("[t] # header\n[u]\nb = 2\n", "t.c", "3"), "[t] # header\nc = 3\n[u]\nb = 2\n");
  EXPECT_EQ(edited("[t]\n  b = 2\n\n[u]\n", "t.c", "3"), "[t]\n  b = 2\n  c = 3\n\n[u]\n");
  EXPECT_EQ(edited("a.b = 1\r\nz = 0\r\n", "a.c", "3"), "a.b = 1\r\na.c = 3\r\nz = 0\r\n");
  EXPECT_EQ(edited("t = { a = 1 }\n", "t.b", "2"), "t = { a = 1, b = 2 }\n");
  EXPECT_EQ(edited("t = {}\n", "t.b", "2"), "t = { b = 2 }\n");
  EXPECT_EQ(edited("[[l]]\nx = 1\n[[l]]\nx = 2\n", "l.0.y", "9"), "[[l]]\nx = 1\ny = 9\n[[l]]\nx = 2\n");
  EXPECT_EQ(edited("[t]\nb = 2", "a", "1"), "a = 1\n[t]\nb = 2");
  EXPECT_EQ(edited("", "a", "1"), "a = 1\n");
}

TEST(EditToml, AddsATableThatIsMissing) {
  EXPECT_EQ(edited("[t]\nb = 2\n", "u.v.c", "3"), "[t]\nb = 2\n\n[u.v]\nc = 3\n");
  EXPECT_EQ(edited("[t.u]\nb = 2 # c\n", "t.c", "3"), "[t.u]\nb = 2 # c\n\n[t]\nc = 3\n");
  EXPECT_EQ(edited("t = { a = 1 }", "t.u.b", "2"), "t = { a = 1, u.b = 2 }");
}

TEST(EditToml, RefusesWhatWouldChangeMore) {
  const std::string text = "a = 1\n[t]\nb = 2\n";
  EXPECT_THAT(refusal(text, "a", "2\nc = 3"), HasSubstr("is not one TOML value"));
  EXPECT_THAT(refusal(text, "a", "}"), HasSubstr("is not one TOML value"));
  EXPECT_THAT(refusal(text, "a", ""), HasSubstr("is not one TOML value"));
  EXPECT_THAT(refusal(text, "t", "3"), HasSubstr("f.toml: t: is a table"));
  EXPECT_THAT(refusal(text, "a.b", "3"), HasSubstr("there is no such key"));
  EXPECT_THAT(refusal(text, "a b", "3"), HasSubstr("cannot be set"));
  EXPECT_THAT(refusal(text, "", "3"), HasSubstr("cannot be set"));
  EXPECT_THAT(refusal("l = [1]", "l.1", "3"), HasSubstr("there is no such key"));
  EXPECT_THAT(refusal("t = { a = 1 }", "t.a", "2 # comment"), HasSubstr("cannot be set"));
}

std::string erased(std::string_view text, std::string_view key) { return erase_toml(text, key, "f.toml"); }

TEST(EraseToml, RemovesTheLineAndNothingElse) {
  EXPECT_EQ(erased("# é\na = 1 # one\n\nb = 2 # two\n", "a"), "# é\n\nb = 2 # two\n");
  EXPECT_EQ(erased("a = 1\r\nb = [1, # one\r\n 2] # two\r\nc = 3", "b"), "a = 1\r\nc = 3");
  EXPECT_EQ(erased("a = 1\nb = \"\"\"x\ny\"\"\"", "b"), "a = 1\n");
  EXPECT_EQ(erased("\xEF\xBB\xBF"
                   "a = 1\n",
                   "a"),
            "\xEF\xBB\xBF");
}

TEST(EraseToml, ReachesIntoTablesAndKeepsTheirHeaders) {
  EXPECT_EQ(erased("[t] # t\n  b = 2\n[u]\nc = 3\n", "t.b"), "[t] # t\n[u]\nc = 3\n");
  EXPECT_EQ(erased("[t]\nu.v = 1\nu.w = 2\n", "t.u.w"), "[t]\nu.v = 1\n");
  EXPECT_EQ(erased("a.b.c = 1\nd = 2\n", "a.b.c"), "d = 2\n");
  EXPECT_EQ(erased("[[l]]\nx = 1\n[[l]]\nx = 2\n", "l.1.x"), "[[l]]\nx = 1\n[[l]]\n");
}

TEST(EraseToml, TakesTheCommaOfAnInlineTable) {
  const std::string text = "t = { a = 1, 'b,c'.d = [1, 2] , e = 3 } # t\n";
  EXPECT_EQ(erased(text, "t.a"), "t = { 'b,c'.d = [1, 2] , e = 3 } # t\n");
  EXPECT_EQ(erased(text, "t.b,c.d"), "t = { a = 1 , e = 3 } # t\n");
  EXPECT_EQ(erased(text, "t.e"), "t = { a = 1, 'b,c'.d = [1, 2]  } # t\n");
  EXPECT_EQ(erased(text, "t"), "");
  EXPECT_EQ(erased("t = { a = 1 }", "t.a"), "t = { }");
  EXPECT_EQ(erased("l = [{ a = 1 }, { a = 2,\tb = [\n] }]", "l.1.b"), "l = [{ a = 1 }, { a = 2 }]");
}

TEST(EraseToml, WhatIsAbsentStaysAbsent) {
  const std::string text = "a = 1 # one\n[t]\n";
  for (const auto* key : {"b", "a.b", "t.b", "u.v", ""}) EXPECT_EQ(erased(text, key), text);
}

TEST(EraseToml, RefusesWhatIsNotAnAssignment) {
  const std::string text = "l = [1, 2]\n[t]\nb = 2\n[[m]]\nx = 1\n";
  for (const auto* key : {"t", "l.0", "m", "m.0"}) EXPECT_THROW(erased(text, key), Error) << key;
}

TEST(EditToml, ABrokenFileIsABadFile) {
  try {
    edited("a = ", "a", "1");
    FAIL();
  } catch (const Error& e) { EXPECT_EQ(e.failure(), Failure::bad_file); }
}

}  // namespace
}  // namespace fathom::model_spec
