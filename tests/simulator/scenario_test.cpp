#include "simulator/scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

namespace fathom::simulator {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Setting flag(const std::string& key, const std::string& literal, const std::string& name = "--flag") { return {key, literal, name}; }

struct Refused {
  Failure failure{};
  std::string text;
};
Refused refusal(const std::vector<Setting>& settings) {
  try {
    read_scenario(settings);
  } catch (const Error& e) { return {e.failure(), e.what()}; }
  return {Failure::device, "accepted"};
}

std::string layout(const std::vector<Setting>& settings) { return label(read_scenario(settings).decode.layout); }

Setting effective(const std::vector<Setting>& settings, const std::string& key) {
  const auto all = effective_settings(settings);
  const auto found = std::ranges::find(all, key, &Setting::key);
  return found == all.end() ? Setting{} : *found;
}

TEST(Scenario, NothingGivenIsThePublishedDeployment) {
  const auto s = read_scenario({});
  EXPECT_EQ(s.model.name, "deepseek-v3.2");
  EXPECT_EQ(s.prefill.system, "h800_sxm");
  EXPECT_EQ(label(s.prefill.layout), "tp1pp1dp32etp1ep32");
  EXPECT_EQ(label(s.decode.layout), "tp1pp1dp144etp1ep144");
  EXPECT_EQ(s.prefill.layout.redundant_experts, 32);
  EXPECT_EQ(s.decode.layout.redundant_experts, 32);
  EXPECT_EQ(s.decode.policy.cache, CacheFormat::fp8);
  EXPECT_EQ(s.workload.isl, 4000);
}

TEST(Scenario, OtherMachinesGetTheSmallestLayoutThatLeavesRoom) {
  EXPECT_EQ(layout({flag("system", "\"b300\"")}), "tp1pp1dp8etp1ep8");
  EXPECT_EQ(layout({flag("system", "\"h200\"")}), "tp1pp1dp16etp1ep16");
  EXPECT_EQ(layout({flag("total_gpus", "32")}), "tp1pp1dp32etp1ep32");  // the published unit of 144 is more than there is
}

TEST(Scenario, WhatALayoutLeavesOutIsDerived) {
  EXPECT_EQ(layout({flag("layout.tp", "8")}), "tp8pp1dp1etp8ep1");
  EXPECT_EQ(layout({flag("layout.ep", "16")}), "tp1pp1dp16etp1ep16");
  EXPECT_EQ(layout({flag("layout.dp", "16")}), "tp1pp1dp16etp1ep16");
  EXPECT_EQ(layout({flag("layout.tp", "8"), flag("layout.ep", "8")}), "tp8pp1dp1etp1ep8");
  EXPECT_EQ(layout({flag("layout.tp", "4"), flag("layout.dp", "2"), flag("layout.etp", "2")}), "tp4pp1dp2etp2ep4");
  EXPECT_EQ(layout({flag("layout.tp", "2"), flag("layout.ep", "8"), flag("layout.etp", "1")}), "tp2pp1dp4etp1ep8");
  EXPECT_EQ(effective({flag("layout.tp", "8")}, "decode.layout.etp").origin, "derived");
  EXPECT_EQ(effective({flag("layout.tp", "8")}, "decode.layout.tp").origin, "--flag");
  EXPECT_EQ(effective({}, "decode.layout.tp").origin, "built in");
}

TEST(Scenario, SizesThatDoNotMatchAreLeftForCheck) {
  const auto s = read_scenario({flag("layout.tp", "3"), flag("layout.ep", "8")});
  EXPECT_TRUE(check(s.model, s.decode.layout));
}

TEST(Scenario, LaterLayersWinAndInOneLayerTheCloserKey) {
  const auto file = parse_settings("[prefill.layout]\nep = 8\n[layout]\nep = 16\n", "a.toml");
  const auto s = read_scenario(file);
  EXPECT_EQ(s.prefill.layout.ep, 8);
  EXPECT_EQ(s.decode.layout.ep, 16);
  auto more = file;
  more.push_back(flag("layout.ep", "64", "--ep"));
  EXPECT_EQ(read_scenario(more).prefill.layout.ep, 64);
  more.push_back(flag("prefill.layout.ep", "32", "--prefill-ep"));
  EXPECT_EQ(read_scenario(more).prefill.layout.ep, 32);
  EXPECT_EQ(read_scenario(more).decode.layout.ep, 64);
}

TEST(Scenario, SystemMovesBothPhasesUnlessOneIsNamed) {
  const auto file = parse_settings("system = \"h100\"\ndecode_system = \"h20\"\n", "a.toml");
  EXPECT_EQ(read_scenario(file).decode.system, "h20");
  auto more = file;
  more.push_back(flag("system", "\"b200\"", "--system"));
  EXPECT_EQ(read_scenario(more).decode.system, "b200");
}

TEST(Scenario, ModelIsANameOrATableWithOverrides) {
  EXPECT_EQ(read_scenario({flag("model", "\"deepseek-v3\"")}).model.name, "deepseek-v3");
  EXPECT_EQ(read_scenario({flag("model", "\"deepseek-v3\"")}).decode.policy.cache, CacheFormat::bf16);
  const auto s = read_scenario(parse_settings("[model]\nname = \"deepseek-v3.2\"\nindex_topk = 1024\nstorage.routed_experts = \"fp4\"\n", "a.toml"));
  EXPECT_EQ(s.model.indexer->index_topk, 1024);
  EXPECT_EQ(s.model.storage.routed_experts, DType::fp4);
}

TEST(Scenario, OverridesAreCheckedAsAModelFileIs) {
  const auto wrong = refusal({flag("model.n_group", "7", "--set model.n_group")});
  EXPECT_EQ(wrong.failure, Failure::usage);
  EXPECT_THAT(wrong.text, AllOf(HasSubstr("--set model.n_group: "), HasSubstr("n_group")));
  const auto unknown = refusal({{"model.index_tpk", "1", "a.toml:3"}});
  EXPECT_EQ(unknown.failure, Failure::bad_file);
  EXPECT_THAT(unknown.text, AllOf(HasSubstr("a.toml:3: model.index_tpk: "), HasSubstr("index_topk")));
  EXPECT_THAT(refusal({flag("model", "\"deepseek-v3.3\"", "--model")}).text, AllOf(HasSubstr("--model: "), HasSubstr("did you mean")));
}

TEST(Scenario, UnknownKeysNameTheNearest) {
  const auto r = refusal(parse_settings("[workload]\nisl = 100\nosk = 5\n", "plan.toml"));
  EXPECT_EQ(r.failure, Failure::bad_file);
  EXPECT_THAT(r.text, AllOf(HasSubstr("plan.toml:3: workload.osk: "), HasSubstr("'osl'")));
  EXPECT_THAT(refusal({flag("isl", "5", "--set isl")}).text, HasSubstr("did you mean 'workload.isl'?"));
  EXPECT_THAT(refusal({flag("micro_batches", "5", "--set micro_batches")}).text, HasSubstr("did you mean 'layout.micro_batches'?"));
}

TEST(Scenario, AllProblemsComeAtOnceWithTheirOrigins) {
  const auto r = refusal({{"workload.isl", "0", "--isl"}, {"gpu_mem_fraction", "1.5", "FATHOM_GPU_MEM_FRACTION"}, {"policy.overlap", "\"both\"", "x.toml:9"}});
  EXPECT_THAT(r.text,
              AllOf(HasSubstr("--isl: must"), HasSubstr("FATHOM_GPU_MEM_FRACTION: must"), HasSubstr("x.toml:9: policy.overlap: \"both\" is not one of none")));
  EXPECT_EQ(r.failure, Failure::bad_file);
}

TEST(Scenario, ValuesMustAgree) {
  EXPECT_THAT(refusal({flag("workload.prefix", "4000", "--prefix")}).text, HasSubstr("--prefix: "));
  EXPECT_THAT(refusal({flag("workload.isl", "170000", "--isl")}).text, AllOf(HasSubstr("--isl: "), HasSubstr("163840")));
  EXPECT_THAT(refusal({flag("workload.nextn_accepted", "0.5", "--nextn-accepted")}).text, HasSubstr("--nextn-accepted: "));
  EXPECT_THAT(refusal({flag("prices.utilisation", "0", "--utilisation")}).text, HasSubstr("--utilisation: "));
  EXPECT_EQ(read_scenario({flag("policy.mtp_depth", "1"), flag("workload.nextn_accepted", "0.8")}).decode.policy.mtp_depth, 1);
}

TEST(Scenario, LiteralsAndShapesThatMakeNoSense) {
  EXPECT_THAT(refusal({flag("workload.isl", "4k", "--set workload.isl")}).text, HasSubstr("is not one TOML value"));
  EXPECT_THAT(refusal({flag("workload.isl", "1\nosl = 2", "--set")}).text, HasSubstr("is not one TOML value"));
  EXPECT_THAT(refusal({flag("workload", "5", "--set workload"), flag("workload.isl", "5", "--isl")}).text, HasSubstr("--isl: "));
  EXPECT_THAT(refusal({flag("workload.isl", "5", "--isl"), flag("workload", "5", "--set workload")}).text, HasSubstr("--set workload: is a table"));
  EXPECT_THAT(refusal({flag("workload.isl", "\"many\"", "--isl")}).text, HasSubstr("must be a whole number"));
  EXPECT_THROW(parse_settings("isl = \n", "bad.toml"), Error);
  EXPECT_THROW(read_settings("/nonexistent/x.toml"), Error);
}

TEST(Scenario, CacheAutoIsTheModelsOwn) {
  EXPECT_EQ(read_scenario({flag("policy.cache", "\"bf16\"")}).decode.policy.cache, CacheFormat::bf16);
  EXPECT_EQ(read_scenario({{"policy.cache", "\"bf16\"", "a.toml:1"}, flag("policy.cache", "\"auto\"")}).decode.policy.cache, CacheFormat::fp8);
}

TEST(Scenario, KeysSayWhatMayStandThere) {
  const auto keys = scenario_keys();
  const auto info = [&](std::string_view key) { return *std::ranges::find(keys, key, &SettingInfo::key); };
  EXPECT_EQ(info("decode.policy.mtp_depth").kind, SettingKind::integer);
  EXPECT_EQ(info("decode.policy.mtp_depth").most, 16);
  EXPECT_EQ(info("prefill.batch").least, 0);
  EXPECT_EQ(info("prefill.policy.overlap").words, (std::vector<std::string>{"none", "two_batch"}));
  EXPECT_EQ(info("prices.api_output").optional, true);
  std::vector<std::string> required, effective;
  for (const auto& k : keys)
    if (!k.optional) required.push_back(k.key);
  for (const auto& s : effective_settings({})) effective.push_back(s.key);
  EXPECT_EQ(required, effective);
}

TEST(Scenario, EffectiveSettingsReadBackTheSame) {
  const std::vector<Setting> given{flag("model", "\"deepseek-v3.2-exp\""), flag("model.index_topk", "1024"), flag("layout.ep", "64"),
                                   flag("prices.usd_per_gpu_hour", "2.5"), flag("workload.isl", "8000"),     flag("policy.overlap", "\"two_batch\"")};
  const auto once = effective_settings(given), twice = effective_settings(once);
  ASSERT_EQ(once.size(), twice.size());
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].key, twice[i].key);
    EXPECT_EQ(once[i].literal, twice[i].literal) << once[i].key;
    EXPECT_EQ(once[i].origin, twice[i].origin) << once[i].key;
  }
  EXPECT_EQ(effective(given, "workload.isl").origin, "--flag");
  EXPECT_EQ(effective(given, "workload.osl").origin, "built in");
  EXPECT_EQ(effective(given, "prefill.policy.overlap").literal, "\"two_batch\"");
}

TEST(Scenario, FilesKeepTheirLines) {
  const std::string path = testing::TempDir() + "fathom_scenario_lines.toml";
  std::ofstream(path) << "# a comment\nsystem = \"h200\"\n\n[workload]\nisl = 1_000\nosl = 10\n";
  const auto settings = read_settings(path);
  ASSERT_EQ(settings.size(), 3U);
  EXPECT_EQ(settings[1].key, "workload.isl");
  EXPECT_EQ(settings[1].literal, "1000");
  EXPECT_EQ(settings[1].origin, path + ":5");
}

}  // namespace
}  // namespace fathom::simulator
