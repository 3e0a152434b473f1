#include "hardware_profiles/measurement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_spec/error.h"

namespace fathom::hardware_profiles {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string head = R"toml(schema = 1
device = "NVIDIA H200"
kernel_set = "fathom fp8"
date = "2026-11-27"

[versions]
driver = "580.159.03"
cuda = "13.0"
cublas_lt = "13.1.0"
fathom = "0.1.0 (abcdef0)"
)toml";
const std::string add = R"toml(
[[measurement]]
covers = ["add_shared"]
op = "add"
sizes = { tokens = 32, hidden = 7168 }
n = 20
median_us = 3.2500
p10_us = 3.1000
p90_us = 4.0000
)toml";

std::string complaint(const std::string& text) {
  try {
    read_measurements(text, "m.toml");
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::bad_file);
    return e.what();
  }
  return "";
}
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Measurements, AreRead) {
  const auto m = read_measurements(head + add, "m.toml");
  EXPECT_EQ(m.device, "NVIDIA H200");
  EXPECT_EQ(m.kernel_set, "fathom fp8");
  EXPECT_EQ(m.date, "2026-11-27");
  EXPECT_EQ(m.versions.driver, "580.159.03");
  EXPECT_EQ(m.versions.cublas_lt, "13.1.0");
  ASSERT_EQ(m.all.size(), 1U);
  const auto& one = m.all[0];
  EXPECT_THAT(one.covers, ElementsAre("add_shared"));
  EXPECT_EQ(std::get<Add<std::int64_t>>(one.op).tokens, 32);
  EXPECT_EQ(std::get<Add<std::int64_t>>(one.op).hidden, 7168);
  EXPECT_EQ(one.n, 20);
  EXPECT_DOUBLE_EQ(one.median.value, 3.25e-6);
  EXPECT_DOUBLE_EQ(one.p10.value, 3.1e-6);
  EXPECT_DOUBLE_EQ(one.p90.value, 4e-6);
  EXPECT_EQ(write_measurements(m), head + add);
}

// Whole numbers, expected ones, switches, types, formats.
TEST(Measurements, OfEveryOperatorReadBackTheSame) {
  auto m = read_measurements(head + add, "m.toml");
  m.all.clear();
  for (const auto& name : op_names())
    m.all.push_back({.covers = {name, "a \"quoted\" one"}, .op = *op_named(name), .n = 5, .median = Seconds{1e-3}, .p10 = Seconds{1e-3}, .p90 = Seconds{1e-3}});
  GroupedGemm<std::int64_t> experts{.capacity = 1024, .experts = 256, .in = 7168, .out = 4096, .rows = 1024, .active = 252.5, .largest = 11};
  RmsNorm<std::int64_t> norm{.tokens = 1, .width = 7168, .residual = true, .output = DType::fp8_row, .keep_bf16 = true};
  SparseMla<std::int64_t> mla{
      .sequences = 2, .new_tokens = 1, .cached_tokens = 131071, .heads = 128, .latent = 512, .rope = 64, .topk = 2048, .cache = CacheFormat::fp8};
  for (const Op& op : {Op(experts), Op(norm), Op(mla)})
    m.all.push_back({.covers = {"x"}, .op = op, .n = 20, .median = Seconds{2e-6}, .p10 = Seconds{1e-6}, .p90 = Seconds{3e-6}});
  const auto text = write_measurements(m);
  const auto again = read_measurements(text, "again.toml");
  EXPECT_EQ(write_measurements(again), text);
  ASSERT_EQ(again.all.size(), m.all.size());
  for (std::size_t i = 0; i < m.all.size(); ++i) {
    EXPECT_EQ(op_name(again.all[i].op), op_name(m.all[i].op));
    EXPECT_EQ(sizes_text(again.all[i].op), sizes_text(m.all[i].op));
    EXPECT_EQ(again.all[i].covers, m.all[i].covers);
  }
}

struct Bad {
  const char *from, *to, *complaint;
};
void PrintTo(const Bad& b, std::ostream* out) { *out << b.to; }
class BadMeasurements : public testing::TestWithParam<Bad> {};

TEST_P(BadMeasurements, AreNamedByPlaceAndKey) {
  const auto& [from, to, words] = GetParam();
  EXPECT_THAT(complaint(replaced(head + add, from, to)), HasSubstr(words));
}

INSTANTIATE_TEST_SUITE_P(Measurements, BadMeasurements,
                         testing::Values(Bad{"schema = 1", "schema = 2", "m.toml:1:1: schema: "},                        //
                                         Bad{"schema = 1\n", "", "schema: "},                                            //
                                         Bad{"\"NVIDIA H200\"", "\"\"", "m.toml:2:1: device: must not be empty"},        //
                                         Bad{"kernel_set", "kernel_sets", "m.toml:3:1: kernel_sets: "},                  //
                                         Bad{"2026-11-27", "2026-13-27", "m.toml:4:1: date: '2026-13-27'"},              //
                                         Bad{"2026-11-27", "27.11.2026", "is not YYYY-MM-DD"},                           //
                                         Bad{"\"580.159.03\"", "580", "m.toml:7:1: versions.driver: "},                  //
                                         Bad{"[\"add_shared\"]", "[]", "m.toml:13:1: measurement.0.covers: must name"},  //
                                         Bad{"[\"add_shared\"]", "[\"\"]", "must name the steps"},                       //
                                         Bad{"[\"add_shared\"]", "[1]", "measurement.0.covers"},                         //
                                         Bad{"\"add\"", "\"ad\"", "m.toml:14:1: measurement.0.op: 'ad' is no operator (did you mean 'add'?)"},
                                         Bad{"hidden = 7168", "hidden = -1", "measurement.0.sizes.hidden: "},              //
                                         Bad{"hidden = 7168", "hidden = 1.5", "measurement.0.sizes.hidden: "},             //
                                         Bad{", hidden = 7168", "", "measurement.0.sizes.hidden: "},                       //
                                         Bad{"hidden = 7168", "hidden = 7168, width = 1", "measurement.0.sizes.width: "},  //
                                         Bad{"n = 20", "n = 0", "m.toml:16:1: measurement.0.n: "},                         //
                                         Bad{"n = 20", "n = 20\nmean_us = 3", "measurement.0.mean_us: "},                  //
                                         Bad{"median_us = 3.2500", "median_us = 0", "measurement.0.median_us: "},          //
                                         Bad{"p10_us = 3.1000", "p10_us = 3.3", "m.toml:18:1: measurement.0.p10_us: must not exceed median_us"},
                                         Bad{"p90_us = 4.0000", "p90_us = 3.2", "m.toml:19:1: measurement.0.p90_us: must not be below median_us"},
                                         Bad{"[[measurement]]", "[measurement]", "measurement: "}));

TEST(Measurements, WithoutAny) { EXPECT_THAT(complaint(head), HasSubstr("measurement: is missing")); }

TEST(Measurements, AllProblemsAtOnce) {
  const auto text = complaint(replaced(replaced(head + add, "n = 20", "n = 0"), "schema = 1", "schema = 3"));
  EXPECT_THAT(text, AllOf(HasSubstr("schema: "), HasSubstr("measurement.0.n: ")));
}

}  // namespace
}  // namespace fathom::hardware_profiles
