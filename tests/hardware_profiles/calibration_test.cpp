#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hardware_profiles/profile.h"
#include "model_spec/error.h"

namespace fathom::hardware_profiles {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string head = "schema = 1\nname = \"c\"\nkernel_set = \"deepseek\"\ndate = \"2026-01-01\"\nversions = \"CUDA 13.0\"\n";
const std::string origin = "provenance = \"published\"\nsource = \"a paper\"\n";
const std::string gemm = "[[family]]\nfamily = \"gemm\"\ncompute = 0.6\nmemory = 0.8\nfixed_us = 3\n";

std::string complaint(const std::string& text) {
  try {
    read_calibration(text, "c.toml");
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::bad_file);
    return e.what();
  }
  return "";
}

TEST(Curve, IsLinearInTheLogarithmAndHeldAtBothEnds) {
  const Curve curve({10, 20}, {0.2, 0.6});  // 1024 and 1048576
  EXPECT_DOUBLE_EQ(curve.at(32768).fraction, 0.4);
  EXPECT_TRUE(curve.at(32768).inside);
  EXPECT_DOUBLE_EQ(curve.at(1024).fraction, 0.2);
  EXPECT_TRUE(curve.at(1024).inside);
  EXPECT_DOUBLE_EQ(curve.at(1).fraction, 0.2);
  EXPECT_FALSE(curve.at(1).inside);
  EXPECT_DOUBLE_EQ(curve.at(0).fraction, 0.2);
  EXPECT_FALSE(curve.at(0).inside);
  EXPECT_DOUBLE_EQ(curve.at(1e12).fraction, 0.6);
  EXPECT_FALSE(curve.at(1e12).inside);
  EXPECT_TRUE(curve.at(1048576).inside);
}

TEST(Curve, ConstantHoldsEverywhere) {
  EXPECT_DOUBLE_EQ(Curve(0.7).at(0).fraction, 0.7);
  EXPECT_TRUE(Curve(0.7).at(1e15).inside);
  EXPECT_TRUE(Curve().empty());
}

TEST(Calibration, ReadsConstantsAndPoints) {
  const auto c = read_calibration(head + gemm + origin +
                                      "[[family]]\nfamily = \"gemm\"\narithmetic = \"fp8\"\ncompute = { flops = [1024, 1048576], fraction = [0.2, 0.6] }\n"
                                      "memory = { bytes = [1e6], fraction = [0.5] }\nfixed_us = 4\nsamples = 12\n" +
                                      origin,
                                  "c.toml");
  EXPECT_EQ(c.kernel_set, "deepseek");
  EXPECT_EQ(c.versions, "CUDA 13.0");
  const auto* fp8 = c.find(Family::gemm, Arithmetic::fp8);
  ASSERT_NE(fp8, nullptr);
  EXPECT_DOUBLE_EQ(fp8->compute.at(32768).fraction, 0.4);
  EXPECT_DOUBLE_EQ(fp8->memory.at(1e9).fraction, 0.5);
  EXPECT_DOUBLE_EQ(fp8->fixed.value, 4e-6);
  EXPECT_EQ(fp8->source, "a paper (12 samples)");
  const auto* bf16 = c.find(Family::gemm, Arithmetic::bf16);  // the row for any arithmetic
  ASSERT_NE(bf16, nullptr);
  EXPECT_DOUBLE_EQ(bf16->compute.at(1).fraction, 0.6);
  EXPECT_EQ(bf16->provenance, Provenance::published);
  EXPECT_EQ(c.find(Family::top_k, Arithmetic::bf16), nullptr);
}

TEST(Calibration, ReadsCollectives) {
  const std::string row = "[[family]]\nfamily = \"all_reduce\"\nnvlink = 0.7\nnic = 0.8\nper_log2_rank_us = 2\nsm_share = 0.15\nfixed_us = 12\n";
  const auto c = read_calibration(head + row + origin, "c.toml");
  const auto* e = c.find(Family::all_reduce, Arithmetic::bf16);
  ASSERT_NE(e, nullptr);
  EXPECT_EQ(e->nvlink, 0.7);
  EXPECT_EQ(e->nic, 0.8);
  EXPECT_DOUBLE_EQ(e->per_log2_rank.value, 2e-6);
  EXPECT_EQ(e->sm_share, 0.15);
  EXPECT_THAT(complaint(head + "[[family]]\nfamily = \"all_reduce\"\nmemory = 0.5\nfixed_us = 1\n" + origin), HasSubstr("family.0.memory"));
}

TEST(Calibration, FractionsLieAboveZeroAndNearOne) {
  const auto with = [](const std::string& value) {
    return complaint(head + "[[family]]\nfamily = \"gemm\"\nmemory = 0.8\nfixed_us = 3\ncompute = " + value + "\n" + origin);
  };
  EXPECT_EQ(with("1.05"), "");
  EXPECT_THAT(with("1.06"), HasSubstr("c.toml:10:1: family.0.compute"));
  EXPECT_THAT(with("0"), HasSubstr("family.0.compute"));
  EXPECT_THAT(with("{ flops = [1e9, 1e9], fraction = [0.1, 0.2] }"), HasSubstr("compute.flops: must increase"));
  EXPECT_THAT(with("{ flops = [1e9], fraction = [0.1, 0.2] }"), HasSubstr("has 2 values, flops has 1"));
  EXPECT_THAT(with("{ flops = [], fraction = [] }"), HasSubstr("at least one point"));
  EXPECT_THAT(with("{ bytes = [1e9], fraction = [0.1] }"), HasSubstr("flops"));
}

TEST(Calibration, TransferredNamesItsDevice) {
  const std::string transferred = "provenance = \"transferred\"\nsource = \"a paper\"\n";
  EXPECT_THAT(complaint(head + gemm + transferred), HasSubstr("family.0.transferred_from: is missing"));
  EXPECT_EQ(complaint(head + gemm + transferred + "transferred_from = \"h800_sxm\"\n"), "");
  EXPECT_THAT(complaint(head + gemm + origin + "transferred_from = \"h800_sxm\"\n"), HasSubstr("only with provenance"));
}

TEST(Calibration, EveryRowHasASource) {
  EXPECT_THAT(complaint(head + gemm + "provenance = \"published\"\n"), HasSubstr("family.0.source: is missing"));
  EXPECT_THAT(complaint(head + gemm + "provenance = \"published\"\nsource = \"\"\n"), HasSubstr("must say who measured"));
}

TEST(Calibration, UnknownFamilySuggestsAndSaysNoMore) {
  const auto text = complaint(head + gemm + origin + "[[family]]\nfamily = \"sparse_mla_decod\"\nmemory = 0.8\nfixed_us = 3\n" + origin);
  EXPECT_THAT(text, HasSubstr("did you mean 'sparse_mla_decode'?"));
  EXPECT_THAT(text, Not(HasSubstr("\n")));
}

TEST(Calibration, OneRowPerFamilyAndArithmetic) {
  EXPECT_THAT(complaint(head + gemm + origin + gemm + origin), HasSubstr("family.1.family: stands twice"));
  EXPECT_THAT(complaint(head), HasSubstr("at least one [[family]]"));
}

TEST(Calibration, SpeedOfLightIsEveryRoofForEveryFamily) {
  const auto c = find_calibration("speed-of-light");
  for (std::size_t f = 0; f < family_count; ++f) {
    const auto* e = c.find(static_cast<Family>(f), Arithmetic::bf16);
    ASSERT_NE(e, nullptr);
    EXPECT_EQ(e->compute.at(1e9).fraction, 1);
    EXPECT_EQ(e->memory.at(1e9).fraction, 1);
    EXPECT_EQ(e->nvlink, 1);
    EXPECT_EQ(e->fixed.value, 0);
    EXPECT_EQ(e->provenance, Provenance::datasheet);
  }
}

TEST(Calibration, TheExampleIsWholeAndTransferred) {
  const auto c = find_calibration("example");
  for (std::size_t f = 0; f < family_count; ++f) {
    const auto* e = c.find(static_cast<Family>(f), Arithmetic::fp8);
    ASSERT_NE(e, nullptr) << family_names[f];
    EXPECT_EQ(e->provenance, Provenance::transferred) << family_names[f];
    EXPECT_EQ(e->transferred_from, "h800_sxm") << family_names[f];
  }
}

TEST(Calibration, UnknownNameSuggests) {
  try {
    find_calibration("exmaple");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::usage);
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'example'?"));
  }
}

}  // namespace
}  // namespace fathom::hardware_profiles
