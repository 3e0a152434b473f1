#include <gmock/gmock.h>

#include "gui/models/views.h"
#include "tests/gui/models/scenarios.h"

namespace fathom::gui {
namespace {

using testing::HasSubstr;

// Of one phase: row 0 or 1.
double sum_of(const Chart& c, double row, bool with_free) {
  double sum = 0;
  for (const auto& s : c.series)
    for (const auto& m : s.marks)
      if (m.y == row && (with_free || s.name != "free")) sum += m.x;
  return sum;
}

const Mark* mark_of(const Chart& c, const std::string& series, double row) {
  for (const auto& s : c.series)
    for (const auto& m : s.marks)
      if (s.name == series && m.y == row) return &m;
  return nullptr;
}

TEST(MemoryChart, PartsAddUpToWhatIsNeededAndFreeToTheLimit) {
  const auto a = small();
  const auto c = memory_chart(a);
  ASSERT_EQ(c.empty, "");
  for (const auto p : both) {
    const auto& f = a.estimated(p).fit;
    EXPECT_NEAR(sum_of(c, static_cast<double>(p), false), f.needed().value / 1e9, 1e-9);
    EXPECT_NEAR(sum_of(c, static_cast<double>(p), true), f.limit.value / 1e9, 1e-9);
  }
}

TEST(MemoryChart, PartsAreThoseOfTheReport) {
  const auto a = small();
  const auto c = memory_chart(a);
  const auto& t = a.report.tables[1];
  ASSERT_EQ(t.key, "memory_per_gpu");
  std::size_t found = 0;
  for (std::size_t f = 0; f < t.fields.size(); ++f)
    for (const auto p : both)
      if (const auto* m = mark_of(c, t.fields[f].heading, static_cast<double>(p))) {
        EXPECT_EQ(Cell{m->x}, t.records[static_cast<std::size_t>(p)].cells[f]) << t.fields[f].heading;
        ++found;
      }
  EXPECT_EQ(found, 2 * 8u);  // all but "reserved", which the report explains in its heading
}

TEST(MemoryChart, PartsKeepOrderAndColour) {
  std::string series;
  for (const auto& s : memory_chart(small()).series) series += s.name + " " + std::to_string(s.colour) + "\n";
  EXPECT_EQ(series,
            "routed experts 0\nother weights 4\nabsorbed copies of kv_b 6\nlatent cache 1\nindex cache 5\nactivations 2\nindex score workspace 3\n"
            "exchange buffers 12\nreserved 7\nfree 15\n");
}

TEST(MemoryChart, OneLimitOneGuide) {
  const auto c = memory_chart(small());
  ASSERT_EQ(c.guides.size(), 1u);
  EXPECT_EQ(c.guides[0].text, "limit 76.97 GB");
  EXPECT_EQ(c.y.categories, (std::vector<std::string>{"prefill", "decode"}));
}

TEST(MemoryChart, TwoMachinesTwoGuides) {
  const auto c = memory_chart(small("decode_system = \"h200_sxm\"\n"));
  ASSERT_EQ(c.guides.size(), 2u);
  EXPECT_EQ(c.guides[0].text, "prefill limit 76.97 GB");
  EXPECT_THAT(c.guides[1].text, HasSubstr("decode limit 1"));
  EXPECT_EQ(c.y.categories, (std::vector<std::string>{"prefill (h800_sxm)", "decode (h200_sxm)"}));
}

// The sequences and tokens that the tip names, in whole pages, take what the chart shows.
TEST(MemoryChart, CachesHoldTheTokensTheySay) {
  const auto a = small();
  const auto& d = a.phase(PhaseName::decode);
  const auto per_token = latent_cache_per_token(plan(a.scenario->model, d.layout, d.policy), 0);
  const auto chart = memory_chart(a);
  const auto* m = mark_of(chart, "latent cache", 1);
  ASSERT_TRUE(m);
  EXPECT_THAT(m->tip, HasSubstr("64 sequences x 5,000 tokens"));
  EXPECT_NEAR(m->x, 64 * static_cast<double>(paged(5000)) * per_token.value / 1e9, 1e-9);
  EXPECT_THAT(mark_of(chart, "index cache", 0)->tip, HasSubstr("4 sequences x 4,000 tokens"));
}

TEST(MemoryChart, WhatDoesNotFitGoesBeyondTheLimit) {
  const auto a = one_gpu();
  const auto c = memory_chart(a);
  ASSERT_EQ(c.empty, "");
  EXPECT_GT(sum_of(c, 0, true), c.guides.at(0).at);
  EXPECT_EQ(mark_of(c, "free", 0), nullptr);
}

TEST(MemoryChart, ARefusedPhaseHasARowWithoutBars) {
  const auto c = memory_chart(answer("prefill.layout = {tp = 3}\n", "x.toml"));
  EXPECT_EQ(c.y.categories, (std::vector<std::string>{"prefill: refused", "decode"}));
  EXPECT_EQ(sum_of(c, 0, true), 0);
  EXPECT_EQ(c.guides.size(), 1u);
}

TEST(MemoryChart, NothingCountedSaysWhy) {
  EXPECT_THAT(memory_chart(answer("layout = {tp = 3}\n", "x.toml")).empty, HasSubstr("not divisible by tp = 3"));
  EXPECT_THAT(memory_chart(faulty()).empty, HasSubstr("workload.isl"));
}

}  // namespace
}  // namespace fathom::gui
