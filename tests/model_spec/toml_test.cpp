#include "model_spec/toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fathom::model_spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(std::string_view text) {
  try {
    parse_toml(text, "f.toml");
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::bad_file);
    return e.what();
  }
  return "no error";
}

// What a strict reading reports.
std::vector<std::string> problems_of(std::string_view text, const std::function<void(TomlReader&)>& body) {
  const TomlValue root = parse_toml(text, "f.toml");
  Problems problems;
  TomlReader in(root, "f.toml", "", problems);
  body(in);
  in.finish();
  return problems.lines();
}

TEST(Toml, KeepsFileOrderAndPositions) {
  const TomlValue root = parse_toml("zoo = 1\n\"é\" = 'x' # y\nant = [1,\n 2.5]\n[t]\nk = true\n", "f.toml");
  const TomlTable& table = *root.table();
  ASSERT_EQ(table.size(), 4u);
  EXPECT_EQ(table[0].key, "zoo");
  EXPECT_EQ(table[1].value.at.line, 2);
  EXPECT_EQ(table[1].value.at.column, 7);  // in code points
  EXPECT_EQ(table[1].value.end.column, 10);
  EXPECT_EQ(table[2].value.end.line, 4);
  EXPECT_EQ(table[3].value.end.line, 0);  // opened by a header
  EXPECT_EQ(std::get<double>((*root.find("ant")->array())[1].data), 2.5);
}

TEST(Toml, TellsInlineTablesFromHeaders) {
  const TomlValue root = parse_toml("a = [{x = 1}]\n[[b]]\nx = 1\n", "f.toml");
  EXPECT_NE(root.find("a")->end.line, 0);
  EXPECT_EQ(root.find("b")->end.line, 0);
}

TEST(Toml, SyntaxErrorsSayWhere) {
  EXPECT_THAT(error_of("a = 1\nb = = 2\n"), HasSubstr("f.toml:2:5: "));
  EXPECT_THAT(error_of("[*"), HasSubstr("f.toml:1:2: "));
  EXPECT_THAT(error_of("a = \"\xFF\""), HasSubstr("f.toml:1:"));
  EXPECT_THAT(error_of("a = 99999999999999999999"), HasSubstr("f.toml:1:"));
  EXPECT_THAT(error_of("a = 1\na = 2"), HasSubstr("f.toml:2:"));
}

TEST(Toml, DatesAreRefusedAllAtOnce) {
  const std::string error = error_of("a = 2020-01-01\nb = 1\nc = [07:30:00]\n");
  EXPECT_THAT(error, HasSubstr("f.toml:1:5: dates and times"));
  EXPECT_THAT(error, HasSubstr("f.toml:3:6: dates and times"));
}

TEST(Toml, RefusesWhatWouldOverflowTheStack) {
  std::string dots = "a";
  for (int i = 0; i < 100'000; ++i) dots += ".a";
  EXPECT_THAT(error_of(dots + " = 1"), HasSubstr("f.toml:1:34: a key of more than 16 parts"));
  EXPECT_THAT(error_of("a = " + std::string(100'000, '[')), HasSubstr("more than 32 brackets"));
  EXPECT_THAT(error_of(std::string((16u << 20) + 1, '\n')), HasSubstr("larger than 16 MiB"));
}

TEST(Toml, BracketsAndDotsInStringsAndCommentsDoNotCount) {
  const std::string many(50, '['), dots(50, '.');
  EXPECT_EQ(error_of("a = '" + many + "' # " + many + "\nb = \"\\\"" + dots + "\"\nc = \"\"\"\n" + many + "\"\"\"\"\nd = '''" + dots + "'''\n"), "no error");
}

TEST(Toml, MissingFileIsAnIoError) {
  try {
    parse_toml_file("/nonexistent/x.toml");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::io);
    EXPECT_THAT(e.what(), HasSubstr("/nonexistent/x.toml"));
  }
}

TEST(TomlReader, ReadsEveryKind) {
  const auto problems = problems_of("s='x'\ni=3\nn=4\nf=0.5\nb=true\nl=['p','q']\nd=[1,2.5]\nw='two'\n[t]\nk=1\n[[u]]\nk=2\n[[u]]\nk=3\n", [](TomlReader& in) {
    EXPECT_EQ(in.string("s"), "x");
    EXPECT_EQ(in.integer("i"), 3);
    EXPECT_EQ(in.number("n"), 4.0);
    EXPECT_EQ(in.optional_number("f"), 0.5);
    EXPECT_EQ(in.optional_number("absent"), std::nullopt);
    EXPECT_TRUE(in.boolean("b"));
    EXPECT_THAT(in.strings("l"), ElementsAre("p", "q"));
    EXPECT_THAT(in.numbers("d"), ElementsAre(1.0, 2.5));
    EXPECT_EQ(in.word("w", {"one", "two"}), 1u);
    EXPECT_EQ(in.integer_or("absent", 7), 7);
    EXPECT_THAT(in.other_keys(), ElementsAre("t", "u"));
    in.table("t", [](TomlReader& t) { EXPECT_EQ(t.integer("k"), 1); });
    EXPECT_FALSE(in.table_if_any("v", [](TomlReader&) { FAIL(); }));
    std::vector<std::int64_t> seen;
    in.tables("u", [&](TomlReader& u, std::size_t) { seen.push_back(u.integer("k")); });
    EXPECT_THAT(seen, ElementsAre(2, 3));
  });
  EXPECT_THAT(problems, ElementsAre());
}

TEST(TomlReader, ReportsEveryProblemWithItsPlace) {
  const auto problems = problems_of("a = 'x'\nb = -1\nc = nan\n[t]\nword = 'tow'\nnaem = 1\n", [](TomlReader& in) {
    in.integer("a");
    in.integer("b", 0, 9);
    in.number("c");
    in.string("gone");
    in.table("t", [](TomlReader& t) {
      t.word("word", {"one", "two"});
      t.string_or("name", "");
    });
  });
  EXPECT_THAT(problems, ElementsAre("f.toml:1:1: a: must be a whole number, not a string", "f.toml:2:1: b: must lie between 0 and 9, not -1",
                                    "f.toml:3:1: c: must be finite, not nan", "f.toml:1:1: gone: is missing",
                                    "f.toml:5:1: t.word: \"tow\" is not one of one, two (did you mean 'two'?)",
                                    "f.toml:6:1: t.naem: is not a key that is known here (did you mean 'name'?)"));
}

TEST(TomlReader, PlacesProblemsOfDottedKeys) {
  const auto problems = problems_of("[[l]]\nr = 1\n[[l]]\nr = 2\n", [](TomlReader& in) {
    in.tables("l", [](TomlReader& l, std::size_t) { l.integer("r"); });
    in.problem("l.1.r", "wrong");
  });
  EXPECT_THAT(problems, ElementsAre("f.toml:4:1: l.1.r: wrong"));
}

TEST(TomlReader, OddKeysAreQuotedAndManyUnknownOnesSummedUp) {
  std::string text = "\"a\\nb\" = 1\n";
  for (int i = 0; i < 100; ++i) text += "k" + std::to_string(i) + " = 1\n";
  const auto problems = problems_of(text, [](TomlReader&) {});
  ASSERT_EQ(problems.size(), 21u);
  EXPECT_THAT(problems[0], HasSubstr("f.toml:1:1: \"a\\nb\": is not a key"));
  EXPECT_THAT(problems.back(), HasSubstr("81 more unknown keys"));
}

TEST(Nearest, FindsSlipsOnly) {
  const std::vector<std::string> words{"hidden_size", "vocab_size", "index_topk"};
  EXPECT_EQ(nearest("hiden_size", words), "hidden_size");
  EXPECT_EQ(nearest("Vocab_Siez", words), "vocab_size");
  EXPECT_EQ(nearest("colour", words), std::nullopt);
  EXPECT_EQ(nearest("", words), std::nullopt);
}

TEST(TomlText, ReadsBackEqual) {
  for (const std::string s : {"", "a\"b\\", "\n\ttab", "é日", "\x01\x7f"}) {
    const std::string text = "v = " + toml_string(s);
    EXPECT_EQ(std::get<std::string>(parse_toml(text, "f").find("v")->data), s) << text;
  }
  for (const double v : {0.0, -1.0, 0.1, 1e300, 5e-324, 123456789.0, std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(std::get<double>(parse_toml("v = " + toml_number(v), "f").find("v")->data), v) << toml_number(v);
  }
  EXPECT_EQ(toml_number(NAN), "nan");
  EXPECT_EQ(toml_number(3), "3.0");
}

}  // namespace
}  // namespace fathom::model_spec
