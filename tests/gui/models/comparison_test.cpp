#include "gui/models/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "gui/models/metrics.h"
#include "gui/models/value.h"

namespace fathom::gui {
namespace {

using ::testing::HasSubstr;

SharedAnswer of(std::string_view toml) { return std::make_shared<const Answer>(answer(toml, "x.toml")); }

const Cell& cell(const Table& t, std::size_t record, std::string_view field) {
  const auto found = std::ranges::find(t.fields, field, &TableField::key);
  EXPECT_NE(found, t.fields.end()) << field;
  return t.records[record].cells[static_cast<std::size_t>(found - t.fields.begin())];
}

TEST(Comparison, EveryFigureIsThatOfTheReport) {
  const auto a = of("");
  const auto t = comparison_table({{"base", a}});
  ASSERT_EQ(t.records.size(), 1u);
  for (std::size_t f = 0; f < t.fields.size(); ++f) EXPECT_FALSE(std::holds_alternative<std::monostate>(t.records[0].cells[f])) << t.fields[f].key;
  EXPECT_EQ(cell(t, 0, "tpot_ms"), Cell{1e3 * a->estimate->tpot.value});
  EXPECT_EQ(cell(t, 0, "usd_per_mtok_output"), Cell{a->estimate->costs->output});
  EXPECT_EQ(cell(t, 0, "decode_gpus"), Cell{std::int64_t{144}});
  EXPECT_EQ(cell(t, 0, "verdict"), Cell{"fits"});
}

// A row that is called as a metric is that metric.
TEST(Comparison, ShowsMetricsByTheirNames) {
  const auto a = of("[workload]\nisl = 8000\n");
  const auto t = comparison_table({{"base", a}});
  std::size_t found = 0;
  for (const auto& m : metrics())
    for (std::size_t f = 0; f < t.fields.size(); ++f) {
      if (t.fields[f].heading != label(m)) continue;
      EXPECT_EQ(number_of(t.records[0].cells[f]), m.value(*a)) << m.id;
      ++found;
    }
  EXPECT_EQ(found, metrics().size() - 1);  // all but the free memory
}

TEST(Comparison, OtherScenariosShowTheirDifferenceFromTheFirst) {
  const auto a = of("prices.usd_per_gpu_hour = 2"), b = of("prices.usd_per_gpu_hour = 1.5"), c = of("system = \"h200_sxm\"\nprices.usd_per_gpu_hour = 3");
  const auto t = comparison_table({{"a", a}, {"b", b}, {"c", c}});
  ASSERT_EQ(t.records.size(), 5u);
  EXPECT_EQ(t.records[2].name, "b: change");
  EXPECT_EQ(cell(t, 2, "usd_per_mtok_output"), Cell{"−25.0 %"});
  EXPECT_EQ(cell(t, 2, "tpot_ms"), Cell{"same"});
  EXPECT_EQ(cell(t, 2, "decode_system"), Cell{"same"});
  EXPECT_EQ(cell(t, 4, "usd_per_gpu_hour"), Cell{"+50.0 %"});  // against the first, not the second
  EXPECT_EQ(cell(t, 4, "decode_system"), Cell{"differs"});
  const auto text = to_terminal({.answer = {}, .tables = {t}, .notes = {}, .csv = {}}, {.width = 200});
  EXPECT_THAT(text, HasSubstr("USD per Mtok, output "));
}

TEST(Comparison, WhatDoesNotRunSaysWhyAndHasNoFiguresToCompare) {
  const auto t = comparison_table({{"a", of("")}, {"large", of("decode.batch = 100000")}, {"wrong", of("workload.isl = -1")}});
  EXPECT_THAT(std::get<std::string>(cell(t, 1, "verdict")), HasSubstr("decode does not fit: 100000 sequences"));
  EXPECT_EQ(cell(t, 1, "tpot_ms"), Cell{});
  EXPECT_EQ(cell(t, 2, "tpot_ms"), Cell{});
  EXPECT_NE(cell(t, 2, "decode_needed_GB"), Cell{});
  EXPECT_THAT(std::get<std::string>(cell(t, 3, "verdict")), HasSubstr("workload.isl"));
  EXPECT_EQ(cell(t, 3, "decode_gpus"), Cell{});
}

}  // namespace
}  // namespace fathom::gui
