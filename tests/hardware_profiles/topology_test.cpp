#include "hardware_profiles/topology.h"

#include <gtest/gtest.h>

#include <numeric>

namespace fathom::hardware_profiles {
namespace {

// An H100-like cluster in round numbers: 8 GPUs at 450 GB/s, 8 NICs at 50 GB/s.
ClusterSpec eight_per_node() {
  ClusterSpec spec;
  spec.nvlink = gigabytes_per_second(450);
  spec.nvlink_latency = microseconds(1);
  spec.nic = gigabytes_per_second(50);
  spec.nic_latency = microseconds(2);
  spec.spine_latency = microseconds(0.5);
  return spec;
}

std::vector<std::int64_t> first_gpus(std::int64_t n) {
  std::vector<std::int64_t> gpus(static_cast<std::size_t>(n));
  std::iota(gpus.begin(), gpus.end(), 0);
  return gpus;
}

// Bytes on the busiest link of a kind, per byte of payload: seconds times the rate.
double on_nvlink(const Resolved& r, const ClusterSpec& spec) { return r.nvlink_seconds_per_byte * spec.nvlink.value; }
double on_nic(const Resolved& r, const ClusterSpec& spec) { return r.nic_seconds_per_byte * spec.nic.value; }

TEST(Topology, TwoGpusOfANodeMeetAtTheNvswitch) {
  const auto spec = eight_per_node();
  const auto r = Topology(spec, 1).resolve(first_gpus(2), all_to_all(2));
  EXPECT_NEAR(on_nvlink(r, spec), 0.5, 1e-12);  // half of the payload stays
  EXPECT_EQ(r.nic_seconds_per_byte, 0);
  EXPECT_NEAR(r.latency.value, 2e-6, 1e-15);  // two hops
  EXPECT_EQ(r.busiest, "node0/gpu0 -> node0/nvswitch");
  EXPECT_EQ(r.ranks, 2);
  EXPECT_EQ(r.nodes, 1);
}

TEST(Topology, AllToAllOverTwoNodesSendsHalfThroughTheNic) {
  const auto spec = eight_per_node();
  const auto r = Topology(spec, 2).resolve(first_gpus(16), all_to_all(16));
  EXPECT_NEAR(on_nic(r, spec), 8.0 / 16, 1e-12);
  EXPECT_NEAR(on_nvlink(r, spec), 7.0 / 16, 1e-12);
  EXPECT_NEAR(r.latency.value, 5e-6, 1e-15);  // NIC, leaf, spine, leaf, NIC: another rail
  EXPECT_EQ(r.nodes, 2);
  EXPECT_EQ(r.busiest.substr(0, 9), "node0/nic");
}

TEST(Topology, AllToAllOverFourNodes) {
  const auto spec = eight_per_node();
  const auto r = Topology(spec, 4).resolve(first_gpus(32), all_to_all(32));
  EXPECT_NEAR(on_nic(r, spec), 24.0 / 32, 1e-12);
  EXPECT_NEAR(on_nvlink(r, spec), 7.0 / 32, 1e-12);
}

TEST(Topology, SameRailStaysBelowTheSpine) {
  const auto spec = eight_per_node();
  const std::vector<std::int64_t> placement{3, 11};  // GPU 3 of both nodes
  const auto r = Topology(spec, 2).resolve(placement, neighbour(2));
  EXPECT_NEAR(on_nic(r, spec), 1, 1e-12);
  EXPECT_NEAR(r.latency.value, 4e-6, 1e-15);  // NIC, leaf, NIC
}

TEST(Topology, RackOfSeventyTwoUsesNoNic) {
  auto spec = eight_per_node();
  spec.gpus_per_node = spec.nics_per_node = 72;
  const auto r = Topology(spec, 1).resolve(first_gpus(72), all_to_all(72));
  EXPECT_NEAR(on_nvlink(r, spec), 71.0 / 72, 1e-12);
  EXPECT_EQ(r.nic_seconds_per_byte, 0);
  EXPECT_EQ(r.nodes, 1);
}

TEST(Topology, FewerNicsThanGpusShare) {
  auto spec = eight_per_node();
  spec.nics_per_node = 4;
  const auto r = Topology(spec, 2).resolve(first_gpus(16), all_to_all(16));
  EXPECT_NEAR(on_nic(r, spec), 2 * 8.0 / 16, 1e-12);
  EXPECT_NEAR(on_nvlink(r, spec), 7.0 / 16, 1e-12);  // two GPUs of one NIC still speak over NVLink
}

TEST(Topology, SeveralNicsOfAGpuSplitEvenly) {
  auto spec = eight_per_node();
  spec.nics_per_node = 16;
  const std::vector<std::int64_t> placement{0, 8};
  const auto r = Topology(spec, 2).resolve(placement, neighbour(2));
  EXPECT_NEAR(on_nic(r, spec), 0.5, 1e-12);  // two shortest paths, one over each NIC
}

TEST(Topology, OversubscribedSpineBounds) {
  auto spec = eight_per_node();
  spec.nodes_per_leaf = 1;  // every node its own leaves: all of the traffic between nodes climbs
  spec.oversubscription = 4;
  const auto r = Topology(spec, 2).resolve(first_gpus(16), all_to_all(16));
  EXPECT_NEAR(on_nic(r, spec), 4 * 8.0 / 16, 1e-12);
  EXPECT_NE(r.busiest.find("spine"), std::string::npos) << r.busiest;
}

TEST(Topology, RingLoadsOneNicPerBorder) {
  const auto spec = eight_per_node();
  const auto r = Topology(spec, 2).resolve(first_gpus(16), ring(16));
  EXPECT_NEAR(on_nvlink(r, spec), 1, 1e-12);
  EXPECT_NEAR(on_nic(r, spec), 1, 1e-12);
}

TEST(Topology, ForwardedDispatchCrossesOncePerNode) {
  const auto spec = eight_per_node();
  const auto r = Topology(spec, 4).resolve_forwarded(first_gpus(32), 2.25, 5.0);
  EXPECT_NEAR(on_nic(r, spec), 2.25, 1e-12);
  EXPECT_NEAR(on_nvlink(r, spec), 5.0, 1e-12);
  EXPECT_NEAR(r.latency.value, 6e-6, 1e-15);  // NIC, leaf, NIC, then GPU, NVSwitch, GPU
  EXPECT_EQ(r.nodes, 4);
}

TEST(Topology, ForwardedDispatchInOneNodeIsNvlinkAlone) {
  const auto spec = eight_per_node();
  const auto r = Topology(spec, 1).resolve_forwarded(first_gpus(8), 0, 3);
  EXPECT_EQ(r.nic_seconds_per_byte, 0);
  EXPECT_NEAR(on_nvlink(r, spec), 3, 1e-12);
}

TEST(Topology, OneRankSendsNothing) {
  const auto r = Topology(eight_per_node(), 1).resolve(first_gpus(1), all_to_all(1));
  EXPECT_EQ(r.nvlink_seconds_per_byte, 0);
  EXPECT_EQ(r.latency.value, 0);
  EXPECT_TRUE(r.busiest.empty());
}

TEST(Topology, BisectionBandwidth) {
  auto spec = eight_per_node();
  EXPECT_EQ(Topology(spec, 2).bisection_bandwidth().value, 8 * 50e9);
  EXPECT_EQ(Topology(spec, 1).bisection_bandwidth().value, 4 * 450e9);
  spec.nodes_per_leaf = 2;
  spec.oversubscription = 2;
  EXPECT_EQ(Topology(spec, 4).bisection_bandwidth().value, 8 * 50e9);  // 2 nodes x 8 NICs, halved at the spine
}

// Every rank sends three quarters to other nodes, whatever rail its GPU is on.
TEST(Topology, ScatteredPlacementCountsItsNodes) {
  const auto spec = eight_per_node();
  const std::vector<std::int64_t> placement{0, 9, 18, 27};  // one GPU on each of four nodes, four rails
  const auto r = Topology(spec, 4).resolve(placement, all_to_all(4));
  EXPECT_EQ(r.nodes, 4);
  EXPECT_EQ(r.nvlink_seconds_per_byte, 0);
  EXPECT_NEAR(on_nic(r, spec), 0.75, 1e-12);
}

TEST(Topology, FortyNodesResolve) {
  const auto spec = eight_per_node();
  const auto r = Topology(spec, 40).resolve(first_gpus(320), all_to_all(320));
  EXPECT_NEAR(on_nic(r, spec), 312.0 / 320, 1e-9);
}

TEST(Topology, GraphvizNamesDevicesAndRates) {
  const auto dot = Topology(eight_per_node(), 2).graphviz();
  EXPECT_NE(dot.find("\"node0/gpu0\" -> \"node0/nvswitch\" [label=\"450 GB/s\"]"), std::string::npos);
  EXPECT_NE(dot.find("\"node1/nic7\" -> \"leaf0.7\" [label=\"50 GB/s\"]"), std::string::npos);
}

}  // namespace
}  // namespace fathom::hardware_profiles
