#include "hardware_profiles/profile.h"

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "model_spec/error.h"

namespace fathom::hardware_profiles {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string small = R"(schema = 1
name = "tiny"
description = "Two GPUs"
calibration = "speed_of_light"
[compute]
bf16_TFLOPS = 100
[memory]
hbm_GB = 80
hbm_usable_MiB = 81559
reserved_GB = 4
[links]
gpus_per_node = 2
nvlink_GBps = 450
nvlink_latency_us = 1
nics_per_node = 2
nic_GBps = 50
nic_latency_us = 2
spine_latency_us = 0.5
nodes_per_leaf = 4
oversubscription = 1
[sources]
bf16_TFLOPS = "a"
hbm_GB = "a"
hbm_usable_MiB = "a"
reserved_GB = "a"
gpus_per_node = "a"
nvlink_GBps = "a"
nvlink_latency_us = "a"
nics_per_node = "a"
nic_GBps = "a"
nic_latency_us = "a"
spine_latency_us = "a"
nodes_per_leaf = "a"
oversubscription = "a"
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// What reading `text` complains of; empty if it reads.
std::string complaint(const std::string& text) {
  try {
    read_profile(text, "tiny.toml");
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::bad_file);
    return e.what();
  }
  return "";
}

TEST(Profile, ReadsUnitsFromKeys) {
  const auto p = read_profile(small, "tiny.toml");
  EXPECT_EQ(p.name, "tiny");
  EXPECT_EQ(p.rate(Arithmetic::bf16).value, 100e12);
  EXPECT_EQ(p.hbm_capacity.value, 80e9);
  EXPECT_EQ(p.hbm_usable.value, 81559.0 * 1048576);
  EXPECT_EQ(p.reserved.value, 4e9);
  EXPECT_EQ(p.cluster.nvlink.value, 450e9);
  EXPECT_DOUBLE_EQ(p.cluster.spine_latency.value, 0.5e-6);
  EXPECT_EQ(p.cluster.max_nodes, 0);
  EXPECT_EQ(p.sources.at("nic_GBps"), "a");
  EXPECT_FALSE(p.price.has_value());
}

TEST(Profile, MissingRateNamesFileAndKey) {
  const auto p = read_profile(small, "tiny.toml");
  const auto message = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& e) { return e.what(); }
    return "";
  };
  EXPECT_THAT(message([&] { static_cast<void>(p.rate(Arithmetic::fp4)); }), HasSubstr("tiny.toml: compute.fp4_TFLOPS is missing"));
  EXPECT_THAT(message([&] { static_cast<void>(p.rate(Arithmetic::int8)); }), HasSubstr("compute.int8_TOPS"));
  EXPECT_THAT(message([&] { static_cast<void>(p.vector()); }), HasSubstr("compute.fp32_vector_TFLOPS"));
  EXPECT_THAT(message([&] { static_cast<void>(p.bandwidth()); }), HasSubstr("memory.hbm_GBps"));
}

TEST(Profile, NumberWithoutSourceIsRefused) {
  EXPECT_THAT(complaint(replaced(small, "nic_GBps = \"a\"\n", "")), HasSubstr("tiny.toml:16:1: links.nic_GBps: has no source"));
  EXPECT_THAT(complaint(replaced(small, "nic_GBps = \"a\"", "nic_GBps = \"\"")), HasSubstr("must say where the number comes from"));
}

TEST(Profile, SourceWithoutNumberIsRefused) {
  const auto text = complaint(small + "fp8_TFLOP = \"a\"\n");
  EXPECT_THAT(text, HasSubstr("sources.fp8_TFLOP: is the source of no number"));
  EXPECT_THAT(complaint(replaced(small, "hbm_GB = \"a\"", "hbm_GB = \"a\"\nhbm_GBs = \"a\"")), HasSubstr("did you mean 'hbm_GB'"));
}

TEST(Profile, UnknownKeySuggests) {
  EXPECT_THAT(complaint(replaced(small, "bf16_TFLOPS = 100", "bf16_TFLOP = 100")), HasSubstr("did you mean 'bf16_TFLOPS'?"));
}

TEST(Profile, AllProblemsAtOnce) {
  const auto text = complaint(replaced(replaced(small, "schema = 1", "schema = 2"), "oversubscription = 1", "oversubscription = 0.5"));
  EXPECT_THAT(text, HasSubstr("tiny.toml:1:1: schema"));
  EXPECT_THAT(text, HasSubstr("links.oversubscription"));
}

TEST(Profile, UsableMemoryIsGivenOnce) {
  EXPECT_THAT(complaint(replaced(small, "hbm_usable_MiB = 81559", "hbm_usable_MiB = 81559\nhbm_usable_GB = 80")), HasSubstr("either hbm_usable_GB or"));
  EXPECT_THAT(complaint(replaced(small, "hbm_usable_MiB = 81559\n", "")), HasSubstr("either hbm_usable_GB or"));
  EXPECT_THAT(complaint(replaced(small, "reserved_GB = 4", "reserved_GB = 90")), HasSubstr("must not exceed"));
}

TEST(Profile, PricesMustBeInOrder) {
  const auto text = replaced(small, "[sources]\n",
                             "[price]\nusd_per_gpu_hour_low = 3\nusd_per_gpu_hour_typical = 2\nusd_per_gpu_hour_high = 4\n[sources]\n"
                             "usd_per_gpu_hour_low = \"a\"\nusd_per_gpu_hour_typical = \"a\"\nusd_per_gpu_hour_high = \"a\"\n");
  EXPECT_THAT(complaint(text), HasSubstr("must lie between low and high"));
}

TEST(Profile, WrongTypeIsRefused) {
  EXPECT_THAT(complaint(replaced(small, "nic_GBps = 50", "nic_GBps = \"fast\"")), HasSubstr("links.nic_GBps: must be a number"));
  EXPECT_THAT(complaint(replaced(small, "gpus_per_node = 2", "gpus_per_node = 0")), HasSubstr("links.gpus_per_node"));
}

TEST(ShippedProfiles, AllReadUnderTheirNames) {
  for (const auto* name : {"h100_sxm", "h800_sxm", "h200_sxm", "h20_sxm", "b200_sxm", "b300_sxm", "gb200", "gb300", "example"}) {
    const auto p = find_profile(name);
    EXPECT_EQ(p.name, name);
    EXPECT_GT(p.bandwidth().value, 1e12) << name;
    EXPECT_GT(p.rate(Arithmetic::fp8).value, p.rate(Arithmetic::bf16).value) << name;
    EXPECT_GT(p.rate(Arithmetic::fp32).value, 1e12) << name;
    EXPECT_GT(p.vector().value, 1e12) << name;
    EXPECT_LT(p.reserved, p.hbm_usable) << name;
    EXPECT_NO_THROW(static_cast<void>(find_calibration(p.calibration_name))) << name;
  }
}

TEST(ShippedProfiles, SayWhatIsKnown) {
  const auto h800 = find_profile("h800_sxm");
  EXPECT_EQ(h800.rate(Arithmetic::fp8).value, 1979e12);
  EXPECT_EQ(h800.cluster.nvlink.value, 200e9);  // one direction
  EXPECT_EQ(h800.price.value().typical, 2.0);
  EXPECT_EQ(find_profile("gb200").cluster.gpus_per_node, 72);
  EXPECT_EQ(find_profile("h20_sxm").cluster.nics_per_node, 4);
  EXPECT_THROW(static_cast<void>(find_profile("h20_sxm").rate(Arithmetic::fp4)), Error);
  EXPECT_THROW(static_cast<void>(find_profile("b200_sxm").rate(Arithmetic::int8)), Error);
}

TEST(ShippedProfiles, AreFoundByAliasInAnySpelling) {
  EXPECT_EQ(find_profile("H100").name, "h100_sxm");
  EXPECT_EQ(find_profile("h100-sxm").name, "h100_sxm");
  EXPECT_EQ(find_profile("GB200-NVL72").name, "gb200");
}

TEST(ShippedProfiles, UnknownNameSuggests) {
  try {
    find_profile("h100_sxn");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::usage);
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'h100_sxm'?"));
  }
}

TEST(ShippedProfiles, TheExampleSaysSo) {
  EXPECT_THAT(list_profiles(), Contains(Field(&ProfileSource::description, HasSubstr("Example: an invented accelerator"))));
  for (const auto& source : list_profiles()) EXPECT_THAT(source.name, Not(HasSubstr("calibration")));
}

class UserFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const char* before = std::getenv("XDG_CONFIG_HOME")) before_ = before;
    const auto systems = root_ / "fathom" / "systems";
    std::filesystem::create_directories(systems);
    std::ofstream(systems / "tiny.toml") << small;
    std::ofstream(systems / "broken.toml") << "schema = 1\n";
    setenv("XDG_CONFIG_HOME", root_.c_str(), 1);
  }
  void TearDown() override {
    before_.empty() ? unsetenv("XDG_CONFIG_HOME") : setenv("XDG_CONFIG_HOME", before_.c_str(), 1);
    std::filesystem::remove_all(root_);
  }
  std::filesystem::path root_ = std::filesystem::path(::testing::TempDir()) / ("fathom_profile_test-" + std::to_string(::getpid()));  // tests run in parallel
  std::string before_;
};

TEST_F(UserFolder, ComesFirstAndToleratesABrokenFile) {
  const auto list = list_profiles();
  EXPECT_EQ(list.at(0).name, "broken");
  EXPECT_EQ(list.at(1).name, "tiny");
  EXPECT_THAT(list.at(1).origin, HasSubstr("systems/tiny.toml"));
  EXPECT_EQ(find_profile("tiny").description, "Two GPUs");
  EXPECT_EQ(find_profile("h100").origin, "h100_sxm.toml (built in)");
  EXPECT_THROW(find_profile("broken"), Error);
}

TEST_F(UserFolder, PathsAreRead) {
  EXPECT_EQ(find_profile((root_ / "fathom" / "systems" / "tiny.toml").string()).name, "tiny");
  EXPECT_THROW(find_profile("./no/such.toml"), Error);
}

}  // namespace
}  // namespace fathom::hardware_profiles
