#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "gui/models/views.h"

namespace fathom::gui {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

std::size_t index_of(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
}
Diagram graph(const Answer& a, PhaseName p, const std::string& block) { return operator_graph(a, p, index_of(blocks_of(a, p), block)); }

std::set<std::string> edges_of(const Diagram& d) {
  std::set<std::string> out;
  for (const auto& e : d.edges) out.insert(d.nodes[e.from].label + " > " + d.nodes[e.to].label);
  return out;
}
bool leads(const Diagram& d, std::size_t from, std::size_t to) {
  return from == to || std::ranges::any_of(d.edges, [&](const Edge& e) { return e.from == from && leads(d, e.to, to); });
}

TEST(OperatorGraph, BlocksAreNamedOnce) {
  EXPECT_EQ(blocks_of(answer("", "x.toml"), PhaseName::decode), (std::vector<std::string>{"embedding", "dense layer", "MoE layer", "head"}));
}

TEST(OperatorGraph, NodesAreTheOperatorsThatRun) {
  const auto a = answer("", "x.toml");
  const auto d = graph(a, PhaseName::decode, "MoE layer");
  EXPECT_EQ(d.title, "MoE layer, decode");
  std::set<std::string> keys, wanted;
  for (const auto& n : d.nodes) keys.insert(n.key);
  for (const auto& o : cli::operator_totals(a.estimate->decode.trace))
    if (o.block->name == "MoE layer") wanted.insert(operator_key(PhaseName::decode, o));
  EXPECT_EQ(keys, wanted);
  const auto mla = std::ranges::find(d.nodes, "decode/MoE/sparse_mla", &Node::key);
  ASSERT_NE(mla, d.nodes.end());
  EXPECT_EQ(mla->label, "sparse_mla");
  EXPECT_THAT(mla->detail, HasSubstr(" us · compute"));
  EXPECT_EQ(mla->colour, 0);
}

TEST(OperatorGraph, EdgesAreTheShortestThatSayItAll) {
  const auto a = answer("", "x.toml");
  const auto edges = edges_of(graph(a, PhaseName::decode, "MoE layer"));
  EXPECT_THAT(edges, Contains("ffn_norm > router"));
  EXPECT_THAT(edges, Contains("ffn_norm > shared_gate_up"));
  EXPECT_THAT(edges, Contains("attn_norm > index_weights"));
  EXPECT_THAT(edges, Contains("shared_down > add_shared"));
  EXPECT_THAT(edges, Not(Contains("ffn_norm > dispatch_ll")));  // router and gate are on the way
  for (const auto p : {PhaseName::prefill, PhaseName::decode})
    for (std::size_t b = 0; b < blocks_of(a, p).size(); ++b) {
      const auto d = operator_graph(a, p, b);
      for (const auto& e : d.edges)
        for (const auto& other : d.edges)
          EXPECT_FALSE(other.from == e.from && other.to != e.to && leads(d, other.to, e.to)) << d.nodes[e.from].label << " > " << d.nodes[e.to].label;
    }
}

TEST(OperatorGraph, DependenciesPassThroughStepsThatDoNotRun) {
  for (const auto p : {PhaseName::prefill, PhaseName::decode}) {
    const auto d = graph(answer("", "x.toml"), p, "MoE layer");
    for (std::size_t n = 1; n < d.nodes.size(); ++n) EXPECT_TRUE(leads(d, 0, n)) << d.nodes[n].label;  // all wait for the first norm
  }
}

TEST(OperatorGraph, GroupsDoNotWaitForEachOther) {
  const auto a = answer("[decode]\nbatch = 3\n[decode.policy]\noverlap = \"two_batch\"\n", "x.toml");  // a whole sequence and a half of one
  ASSERT_EQ(a.nothing(PhaseName::decode), "");
  const auto d = graph(a, PhaseName::decode, "MoE layer");
  std::size_t seconds = 0;
  for (const auto& e : d.edges) {
    const auto second = [&](std::size_t n) { return d.nodes[n].key.ends_with("#1"); };
    seconds += second(e.from) ? 1 : 0;
    const auto first_too = [&](std::size_t n) { return std::ranges::find(d.nodes, d.nodes[n].key + "#1", &Node::key) != d.nodes.end(); };
    EXPECT_FALSE((second(e.from) && first_too(e.to)) || (second(e.to) && first_too(e.from))) << d.nodes[e.from].key << " > " << d.nodes[e.to].key;
  }
  EXPECT_GT(seconds, 0u);
}

TEST(OperatorGraph, SaysWhyThereIsNone) {
  const auto a = answer("[decode.layout]\ntp = 1\ndp = 1\nep = 1\n", "x.toml");
  EXPECT_THAT(operator_graph(a, PhaseName::decode, 0).empty, HasSubstr("decode does not fit"));
  EXPECT_TRUE(blocks_of(a, PhaseName::decode).empty());
  EXPECT_EQ(operator_graph(answer("", "x.toml"), PhaseName::decode, 99).empty, "This model has no such block.");
  EXPECT_FALSE(operator_graph(answer("isl = = 1", "x.toml"), PhaseName::decode, 0).empty.empty());
}

}  // namespace
}  // namespace fathom::gui
