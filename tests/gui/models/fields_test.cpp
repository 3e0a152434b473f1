#include "gui/models/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace fathom::gui {
namespace {

using testing::ElementsAre;
using Literal = std::optional<std::string>;

const Field& field(std::string_view label, std::optional<PhaseName> phase = {}) {
  return *std::ranges::find_if(scenario_fields(), [&](const Field& f) { return f.label == label && f.phase == phase; });
}

TEST(Fields, ComeInGroups) {
  std::vector<std::string> groups;
  for (const auto& f : scenario_fields())
    if (groups.empty() || groups.back() != f.group) groups.push_back(f.group);
  EXPECT_THAT(groups, ElementsAre("Model", "Hardware", "Layout", "Serving", "Workload", "Prices"));
}

TEST(Fields, EachHasAValueInTheDefaultScenario) {
  const auto values = values_in_force(answer("", ""));
  for (const auto& f : scenario_fields()) {
    const auto found = std::ranges::find(values, shown_key(f), &Setting::key);
    ASSERT_EQ(found != values.end(), !f.info.key.starts_with("prices.api")) << f.info.key;
    EXPECT_FALSE(f.label.empty() || f.help.empty()) << f.info.key;
    if (found == values.end()) continue;
    const auto typed = typed_of(f, found->literal, 4000);
    EXPECT_EQ(literal_of(f, typed, 4000), found->literal) << f.info.key << " " << typed;
  }
}

TEST(Fields, ValuesAreThoseOfTheModelUnlessOverridden) {
  const auto values = values_in_force(answer("[model]\nindex_topk = 1024\nlayers.1.repeat = 10\n", "x"));
  const auto at = [&](std::string_view key) { return std::ranges::find(values, key, &Setting::key)->literal; };
  EXPECT_EQ(at("model.index_topk"), "1024");
  EXPECT_EQ(at("model.layers.1.repeat"), "10");
  EXPECT_EQ(at("model.layers.0.repeat"), "3");
  EXPECT_EQ(at("model.storage.routed_experts"), "\"fp8_block\"");
}

TEST(Fields, QuantitiesAreTypedAsPeopleDo) {
  const auto& isl = field("Input tokens");
  EXPECT_EQ(literal_of(isl, "4k"), Literal("4000"));
  EXPECT_EQ(literal_of(isl, " 128 Ki "), Literal("131072"));
  EXPECT_EQ(literal_of(isl, "1.5M"), Literal("1500000"));
  EXPECT_EQ(literal_of(isl, "-3"), Literal("-3"));  // a number; that it makes no sense is for the scenario to say
  for (const auto* wrong : {"", "4kk", "1.5", "4s", "5min", "many", "1e300", "4 000 x"}) EXPECT_EQ(literal_of(isl, wrong), std::nullopt) << wrong;
  const auto& price = field("GPU-hour");
  EXPECT_EQ(literal_of(price, "2"), Literal("2.0"));
  EXPECT_EQ(typed_of(price, "2.0"), "2");
}

TEST(Fields, SharesAreTypedAsPercent) {
  const auto& fill = field("Memory to fill");
  for (const auto* typed : {"90%", "0.9", "90", "90 %"}) EXPECT_EQ(literal_of(fill, typed), Literal("0.9")) << typed;
  EXPECT_EQ(literal_of(fill, "1"), Literal("1.0"));
  EXPECT_EQ(typed_of(fill, "0.9"), "90%");
  const auto& hits = field("Prefix-cache hits");
  EXPECT_EQ(hits.info.key, "workload.prefix");
  EXPECT_EQ(literal_of(hits, "75%", 4000), Literal("3000"));
  EXPECT_EQ(typed_of(hits, "3000", 4000), "75%");
}

TEST(Fields, WordsTextsAndWhatZeroMeans) {
  const auto& overlap = field("Decode overlap");
  EXPECT_EQ(literal_of(overlap, "two_batch"), Literal("\"two_batch\""));
  EXPECT_EQ(literal_of(overlap, "three_batch"), std::nullopt);
  EXPECT_EQ(typed_of(overlap, "\"none\""), "none");
  EXPECT_EQ(literal_of(field("Model"), "./a \"b\".toml"), Literal("\"./a \\\"b\\\".toml\""));
  EXPECT_EQ(literal_of(field("Fused kernels"), "false"), Literal("false"));
  const auto& batch = field("Batch per rank", PhaseName::decode);
  EXPECT_EQ(typed_of(batch, "0"), "auto");
  EXPECT_EQ(literal_of(batch, "auto"), Literal("0"));
  EXPECT_EQ(typed_of(batch, "128"), "128");
}

TEST(Fields, StepsDoubleOrCountWithinTheRange) {
  EXPECT_EQ(stepped(field("Input tokens"), "4k", 1), "8000");
  EXPECT_EQ(stepped(field("Input tokens"), "5", -1), "2");
  EXPECT_EQ(stepped(field("Input tokens"), "1", -1), "1");
  EXPECT_EQ(stepped(field("Batch per rank", PhaseName::prefill), "1", -1), "auto");
  EXPECT_EQ(stepped(field("Batch per rank", PhaseName::prefill), "auto", 2), "2");
  EXPECT_EQ(stepped(field("Draft tokens"), "16", 1), "16");
  EXPECT_EQ(stepped(field("Draft tokens"), "2", -1), "1");
  EXPECT_EQ(stepped(field("Utilisation"), "90%", 1), "91%");
  EXPECT_EQ(stepped(field("Utilisation"), "100%", 1), "100%");
  EXPECT_EQ(stepped(field("Prefix-cache hits"), "50%", -1, 4000), "49%");
  EXPECT_EQ(stepped(field("Prefix-cache hits"), "99%", 3, 4000), "99.98%");
  EXPECT_EQ(stepped(field("Prefix-cache hits"), "99%", 3, 1e6), "99.99%");
  for (const double isl : {0, 1}) EXPECT_EQ(stepped(field("Prefix-cache hits"), "50%", 1, isl), "0%") << isl;
  EXPECT_EQ(stepped(field("GPU-hour"), "1.9", 1), "2");
}

TEST(Fields, KnowTheKeysThatSetThem) {
  EXPECT_THAT(keys_behind(field("Tensor parallel", PhaseName::decode)), ElementsAre("decode.layout.tp", "layout.tp"));
  EXPECT_THAT(keys_behind(field("KV cache")), ElementsAre("policy.cache", "prefill.policy.cache", "decode.policy.cache"));
  EXPECT_THAT(keys_behind(field("System")), ElementsAre("system"));
  EXPECT_THAT(keys_behind(field("Decode system")), ElementsAre("decode_system"));
  EXPECT_THAT(keys_behind(field("Decode overlap")), ElementsAre("decode.policy.overlap", "policy.overlap"));
  EXPECT_EQ(shown_key(field("KV cache")), "decode.policy.cache");
  EXPECT_EQ(shown_key(field("Prefill chunk")), "prefill.policy.chunked_prefill_tokens");
}

TEST(Fields, SayWhatTheyTake) {
  EXPECT_EQ(range_of(field("Draft tokens")), "0 to 16");
  EXPECT_EQ(range_of(field("Memory to fill")), "0.1% to 100%");
  EXPECT_EQ(range_of(field("Prefix-cache hits")), "0% to less than 100%");
  EXPECT_EQ(range_of(field("Prefill overlap")), "none, two_batch");
  EXPECT_EQ(range_of(field("Model")), "");
}

}  // namespace
}  // namespace fathom::gui
