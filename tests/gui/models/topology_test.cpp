#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "gui/models/views.h"

namespace fathom::gui {
namespace {

using testing::HasSubstr;

Diagram decode(const std::string& toml) { return topology_diagram(answer(toml, "x.toml"), PhaseName::decode); }
const Node* find(const Diagram& d, const std::string& label) {
  const auto found = std::ranges::find(d.nodes, label, &Node::label);
  return found == d.nodes.end() ? nullptr : &*found;
}
std::vector<std::string> labels_of_edges(const Diagram& d) {
  std::vector<std::string> out;
  for (const auto& e : d.edges)
    if (!e.label.empty()) out.push_back(e.label);
  return out;
}

TEST(Topology, TwoNodesOfEightAreDrawnWhole) {
  const auto d = decode("[decode.layout]\ntp = 2\ndp = 8\nep = 16\n");
  EXPECT_EQ(d.title, "Decode on 16 GPUs of h800_sxm in 2 nodes");
  ASSERT_EQ(d.frames.size(), 2u);
  EXPECT_EQ(d.nodes.size(), 2u + 2 * (8 + 2));  // spine, leaves; GPUs, NICs and NVSwitch of each
  EXPECT_EQ(labels_of_edges(d), (std::vector<std::string>{"8 x 100 GB/s each way", "8 x 50 GB/s each way", "50 GB/s each way", "200 GB/s each way",
                                                          "8 x 50 GB/s each way", "50 GB/s each way", "200 GB/s each way"}));
  ASSERT_TRUE(find(d, "GPU 9"));
  EXPECT_EQ(find(d, "GPU 9")->detail, "tp1 dp4 ep9");
  EXPECT_THAT(find(d, "NVSwitch")->tip, HasSubstr("source: LMSYS"));
  for (const auto& n : d.nodes)
    for (const auto& m : d.nodes) EXPECT_TRUE(&n == &m || n.at.x != m.at.x || n.at.y != m.at.y) << n.label << " on " << m.label;
}

TEST(Topology, RanksCountThroughTheStages) {
  const auto d = decode("[decode.layout]\npp = 2\ntp = 4\ndp = 1\nep = 2\netp = 2\n");
  EXPECT_EQ(find(d, "GPU 3")->detail, "pp0 tp3 etp1 ep1");
  EXPECT_EQ(find(d, "GPU 4")->detail, "pp1 tp0 etp0 ep0");
}

TEST(Topology, OneNodeHasNoFabric) {
  const auto d = decode("[decode.layout]\ntp = 4\ndp = 1\nep = 4\n");  // which does not fit, and is drawn all the same
  EXPECT_EQ(d.empty, "");
  EXPECT_EQ(d.nodes.size(), 9u);
  EXPECT_FALSE(find(d, "Spine"));
  EXPECT_EQ(find(d, "GPU 3")->detail, "tp3 ep3");
  EXPECT_EQ(find(d, "GPU 4")->detail, "not used");
}

TEST(Topology, ManyNodesAreCounted) {
  const auto d = decode("");
  EXPECT_EQ(d.title, "Decode on 144 GPUs of h800_sxm in 18 nodes");
  EXPECT_EQ(d.frames.size(), 4u);
  ASSERT_TRUE(find(d, "… 14 more"));
  EXPECT_EQ(find(d, "… 14 more")->detail, "nodes alike");
  EXPECT_EQ(labels_of_edges(d).back(), "112 x 50 GB/s each way");
}

TEST(Topology, ManyGpusAreCounted) {
  const auto d = decode("system = \"gb200\"\n[decode.layout]\ntp = 1\ndp = 72\nep = 72\n");
  ASSERT_TRUE(find(d, "… 68 more"));
  EXPECT_EQ(find(d, "… 68 more")->detail, "GPU 4 to 71");
  EXPECT_EQ(find(d, "… 68 more")->tip, "rank 4: dp4 ep4\nto rank 71: dp71 ep71");
  EXPECT_EQ(d.nodes.size(), 6u);
}

TEST(Topology, NeedsAScenario) { EXPECT_FALSE(decode("isl = = 1").empty.empty()); }

}  // namespace
}  // namespace fathom::gui
