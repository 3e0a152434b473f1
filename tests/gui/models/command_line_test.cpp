#include "gui/models/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/app.h"

namespace fathom::gui {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string command(std::string_view toml) { return command_line(answer(toml, "x.toml")); }

// As a POSIX shell splits words with '...' and \' in them.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words{""};
  bool inside = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\'') inside = !inside;
    else if (!inside && line[i] == '\\') words.back() += line[++i];
    else if (!inside && line[i] == ' ') words.emplace_back();
    else words.back() += line[i];
  }
  return words;
}

// What the command prints, without the table of settings: their origins differ.
std::string printed(const std::string& line) {
  auto words = words_of(line);
  words.erase(words.begin());  // fathom
  const auto effective = effective_settings(cli::parse_command_line(words).settings);
  const auto s = read_scenario(effective);
  return to_json(cli::estimate_report(s, estimate(s), effective));
}

constexpr std::string_view plans[] = {
    "",
    "model = \"deepseek-v3.1-terminus\"\nsystem = \"h200_sxm\"\n[workload]\nisl = 8000\nosl = 500\nprefix = 1000\n",
    "[layout]\ntp = 8\n[decode.layout]\ntp = 1\ndp = 64\nmicro_batches = 1\n[decode]\nbatch = 16\n",
    "decode_system = \"h20_sxm\"\n[layout]\ndp = 32\n[prefill.policy]\noverlap = \"two_batch\"\n[policy]\nmtp_depth = 1\n[workload]\nnextn_accepted = 0.8\n",
    "gpu_mem_fraction = 0.85\ncalibration = \"speed_of_light\"\n[model]\nname = \"v3.2\"\nindex_topk = 1024\nstorage.routed_experts = \"int4_group\"\n",
    "[model]\nstorage.attention = \"bf16\"\n[prices]\nusd_per_gpu_hour = 1.85\nutilisation = 0.7\napi_input_miss = 0.5\napi_input_hit = 0.05\napi_output = "
    "1.5\n",
    "decode.batch = 100000\n",  // does not fit, and says so in the same words
};

TEST(CommandLine, GivesTheSameNumbers) {
  for (const auto toml : plans) {
    const auto a = answer(toml, "x.toml");
    ASSERT_TRUE(a.estimate) << toml << a.faults.front().message;
    EXPECT_EQ(printed(command_line(a)), to_json(cli::estimate_report(*a.scenario, *a.estimate, a.settings))) << command_line(a);
  }
}

TEST(CommandLine, HasAFlagForWhatTheDocumentGivesAndNothingElse) {
  EXPECT_EQ(command(plans[0]), "fathom estimate");
  EXPECT_EQ(command(plans[1]), "fathom estimate --model deepseek-v3.1-terminus --system h200_sxm --isl 8000 --osl 500 --prefix 1000");
  EXPECT_THAT(command(plans[2]), HasSubstr("--prefill-tp 8 --batch 16 --decode-tp 1 --decode-dp 64 --set decode.layout.micro_batches=1"));
  EXPECT_THAT(command(plans[3]), HasSubstr(" --dp 32 "));  // one flag for both phases
  EXPECT_THAT(command(plans[3]), HasSubstr("--set 'prefill.policy.overlap=\"two_batch\"'"));
  EXPECT_THAT(command(plans[4]), HasSubstr("--expert-weights int4"));
  EXPECT_THAT(command(plans[4]), HasSubstr("--set model.index_topk=1024"));
  EXPECT_THAT(command(plans[5]), HasSubstr("--price 1.85 --utilisation 0.7 --set prices.api_input_miss=0.5"));
}

TEST(CommandLine, QuotesWhatAShellWouldRead) {
  Answer a;
  a.settings = {{"model.name", "\"my model's $HOME.toml\"", "x.toml:1"}, {"calibration", "\"\"", "x.toml:2"}};
  EXPECT_EQ(command_line(a), R"(fathom estimate --model 'my model'\''s $HOME.toml' --calibration '')");
  EXPECT_EQ(words_of(command_line(a))[3], "my model's $HOME.toml");
}

}  // namespace
}  // namespace fathom::gui
