// A cluster as a graph (GPU, NVSwitch, NIC, leaf, spine) and what a collective puts on its busiest link.
// Boost.Graph is used in topology.cpp only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hardware_profiles/profile.h"

namespace fathom::hardware_profiles {

// Bytes from rank i to rank j, row-major [ranks][ranks], for one byte of payload per rank.
using Traffic = std::vector<double>;

Traffic all_to_all(std::int64_t ranks);  // every rank sends 1/ranks to each (its own share stays)
Traffic ring(std::int64_t ranks);        // every rank sends 1 to the next
Traffic neighbour(std::int64_t ranks);   // rank 0 sends 1 to rank 1 (pipeline)

// What one byte of payload per rank costs: linear in bytes, so it is resolved once per (cluster, placement, collective).
struct Resolved {
  double nvlink_seconds_per_byte = 0;  // busiest NVLink edge: load / capacity
  double nic_seconds_per_byte = 0;     // busiest edge of NIC, leaf or spine
  Seconds latency{};                   // of the longest path
  std::string busiest;                 // name of the edge that bounds it, for reports
  std::int64_t ranks = 1, nodes = 1;
};

class Topology {
 public:
  Topology(const ClusterSpec&, std::int64_t nodes);
  ~Topology();
  Topology(Topology&&) noexcept;
  Topology& operator=(Topology&&) noexcept;

  [[nodiscard]] std::int64_t gpus() const;
  // Routes `traffic` between the GPUs `placement[i]` along shortest paths, split evenly over equal ones.
  // Inside a node traffic takes NVLink; between nodes it leaves by the NIC of its own rail (GPU i, NIC i * nics / gpus).
  [[nodiscard]] Resolved resolve(std::span<const std::int64_t> placement, const Traffic& traffic) const;
  // Hierarchical traffic of a forwarded dispatch: between nodes one copy per (token, node) over the rail, then NVLink to the rank.
  // `to_nodes`: copies that leave for other nodes, per byte of payload; `to_ranks`: copies inside nodes.
  [[nodiscard]] Resolved resolve_forwarded(std::span<const std::int64_t> placement, double to_nodes, double to_ranks) const;
  [[nodiscard]] BytesPerSecond bisection_bandwidth() const;  // max-flow between the two halves of the nodes (one node: of its GPUs)
  [[nodiscard]] std::string graphviz() const;                // DOT, edges labelled with capacity

 private:
  struct Graph;
  std::unique_ptr<Graph> graph_;
};

}  // namespace fathom::hardware_profiles
