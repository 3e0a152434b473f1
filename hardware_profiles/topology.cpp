#include "hardware_profiles/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/push_relabel_max_flow.hpp>
#include <cassert>
#include <map>

namespace fathom::hardware_profiles {

namespace {

enum class Tier : std::uint8_t {
  nvlink,  // GPU - NVSwitch
  host,    // GPU - its NIC: as fast as the NIC, its delay counted there
  nic,     // NIC - leaf
  spine,   // leaf - spine
};

struct Port {
  std::string device;
};
struct Link {
  std::size_t index = 0;
  Tier tier = Tier::nvlink;
  BytesPerSecond capacity{};
  Seconds latency{};
};

// Links are directed. GPUs and NICs are two ports each, one that sends and one that receives: so no path can lead through a GPU or
// turn round in a NIC, and the fewest hops alone say that traffic inside a node takes NVLink.
using Links = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, Port, Link>;
using Vertex = boost::graph_traits<Links>::vertex_descriptor;
using Edge = boost::graph_traits<Links>::edge_descriptor;

// A device that sends on one port and receives on the other; a switch has both in one.
struct Device {
  Vertex out, in;
};

std::string name_of(const Links& g, Edge e) { return fmt::format("{} -> {}", g[boost::source(e, g)].device, g[boost::target(e, g)].device); }

// What one search from a GPU finds: for every port its distance, how many shortest paths lead there, and their delay.
struct Paths {
  std::vector<Vertex> order;  // as discovered: distance never falls
  std::vector<int> hops;      // -1: not reached
  std::vector<double> count;
  std::vector<Seconds> latency;
};

struct CountPaths : boost::default_bfs_visitor {
  Paths* paths;
  explicit CountPaths(Paths& p) : paths(&p) {}
  void discover_vertex(Vertex v, const Links&) { paths->order.push_back(v); }
  void tree_edge(Edge e, const Links& g) {
    const Vertex u = boost::source(e, g), v = boost::target(e, g);
    paths->hops[v] = paths->hops[u] + 1;
    paths->latency[v] = paths->latency[u] + g[e].latency;
    paths->count[v] = paths->count[u];
  }
  void non_tree_edge(Edge e, const Links& g) {
    const Vertex u = boost::source(e, g), v = boost::target(e, g);
    if (paths->hops[v] == paths->hops[u] + 1) paths->count[v] += paths->count[u];
  }
};

void find_paths(const Links& g, Vertex from, Paths& paths) {
  const std::size_t n = boost::num_vertices(g);
  paths.order.clear();
  paths.hops.assign(n, -1);
  paths.count.assign(n, 0);
  paths.latency.assign(n, Seconds{});
  paths.hops[from] = 0;
  paths.count[from] = 1;
  boost::breadth_first_search(g, from, boost::visitor(CountPaths(paths)));
}

// Walks the flow that arrived at each port back to the source. An edge u -> v on a shortest path carries the share
// count[u] / count[v] of what passes v: every shortest path carries the same.
void add_loads(const Links& g, const Paths& paths, std::vector<double>& flow, std::vector<double>& load) {
  for (auto v = paths.order.rbegin(); v != paths.order.rend(); ++v) {
    if (flow[*v] == 0) continue;
    for (auto [e, end] = boost::in_edges(*v, g); e != end; ++e) {
      const Vertex u = boost::source(*e, g);
      if (paths.hops[u] < 0 || paths.hops[u] + 1 != paths.hops[*v]) continue;
      const double share = flow[*v] * paths.count[u] / paths.count[*v];
      flow[u] += share;
      load[g[*e].index] += share;
    }
    flow[*v] = 0;
  }
}

// The busiest link of each side, and the name of the one that takes longest.
void find_busiest(const Links& g, const std::vector<double>& load, Resolved& result) {
  for (auto [e, end] = boost::edges(g); e != end; ++e) {
    const Link& link = g[*e];
    if (link.tier == Tier::host || load[link.index] == 0) continue;
    const double seconds = load[link.index] / link.capacity.value;
    if (seconds > std::max(result.nvlink_seconds_per_byte, result.nic_seconds_per_byte)) result.busiest = name_of(g, *e);
    double& side = link.tier == Tier::nvlink ? result.nvlink_seconds_per_byte : result.nic_seconds_per_byte;
    side = std::max(side, seconds);
  }
}

// The same links for the max-flow: whole bytes per second, and every edge with the reverse one that the algorithm asks for.
struct Pipe {
  std::int64_t capacity = 0, residual = 0;
  boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>::edge_descriptor reverse{};
};
using FlowNet = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, Pipe>;

void add_pipe(FlowNet& net, Vertex from, Vertex to, BytesPerSecond capacity) {
  const auto there = boost::add_edge(from, to, net).first, back = boost::add_edge(to, from, net).first;
  net[there] = Pipe{static_cast<std::int64_t>(capacity.value), 0, back};
  net[back] = Pipe{0, 0, there};
}

// Ranks of a placement by the node they stand on.
std::map<std::int64_t, std::vector<std::size_t>> ranks_by_node(std::span<const std::int64_t> placement, std::int64_t gpus_per_node) {
  std::map<std::int64_t, std::vector<std::size_t>> nodes;
  for (std::size_t rank = 0; rank < placement.size(); ++rank) nodes[placement[rank] / gpus_per_node].push_back(rank);
  return nodes;
}

}  // namespace

struct Topology::Graph {
  ClusterSpec spec;
  Links links;
  std::vector<Device> gpus;  // [nodes * gpus_per_node]

  Device add_device(const std::string& name) {
    const Vertex out = boost::add_vertex(Port{name}, links);
    return {out, boost::add_vertex(Port{name}, links)};
  }
  Device add_switch(const std::string& name) {
    const Vertex v = boost::add_vertex(Port{name}, links);
    return {v, v};
  }
  void connect(const Device& a, const Device& b, Tier tier, BytesPerSecond capacity, Seconds latency) {
    boost::add_edge(a.out, b.in, Link{boost::num_edges(links), tier, capacity, latency}, links);
    boost::add_edge(b.out, a.in, Link{boost::num_edges(links), tier, capacity, latency}, links);
  }
  std::vector<Device> add_node(std::int64_t node);
  void add_fabric(const std::vector<std::vector<Device>>& nics);
};

// One NVSwitch, its GPUs and their NICs. Where there are fewer NICs than GPUs neighbours share one, where there are more a GPU has several.
std::vector<Device> Topology::Graph::add_node(std::int64_t node) {
  const std::int64_t g = spec.gpus_per_node, n = spec.nics_per_node;
  const Device nvswitch = add_switch(fmt::format("node{}/nvswitch", node));
  std::vector<Device> nics;
  for (std::int64_t i = 0; i < n; ++i) nics.push_back(add_device(fmt::format("node{}/nic{}", node, i)));
  for (std::int64_t i = 0; i < g; ++i) {
    gpus.push_back(add_device(fmt::format("node{}/gpu{}", node, i)));
    connect(gpus.back(), nvswitch, Tier::nvlink, spec.nvlink, spec.nvlink_latency);
    const std::int64_t first = i * n / g, last = std::min(n, std::max((i + 1) * n / g, first + 1));
    for (std::int64_t j = first; j < last; ++j) {
      const Device& nic = nics[static_cast<std::size_t>(j)];
      connect(gpus.back(), Device{.out = nic.in, .in = nic.out}, Tier::host, spec.nic, Seconds{});  // seen from the GPU: what it sends leaves
    }
  }
  return nics;
}

// Rail-optimised: NIC i of the nodes of a group meets on the group's leaf i. The spines stand as one switch, for traffic spreads evenly
// over them; a leaf reaches it with the rates of the NICs below it over the oversubscription.
void Topology::Graph::add_fabric(const std::vector<std::vector<Device>>& nics) {
  const Device spine = add_switch("spine");
  const auto group_size = static_cast<std::size_t>(spec.nodes_per_leaf);
  for (std::size_t first = 0; first < nics.size(); first += group_size) {
    const std::size_t last = std::min(first + group_size, nics.size());
    for (std::size_t rail = 0; rail < nics[first].size(); ++rail) {
      const Device leaf = add_switch(fmt::format("leaf{}.{}", first / group_size, rail));
      for (std::size_t node = first; node < last; ++node) connect(nics[node][rail], leaf, Tier::nic, spec.nic, spec.nic_latency);
      const BytesPerSecond up = spec.nic * (static_cast<double>(last - first) / spec.oversubscription);
      connect(leaf, spine, Tier::spine, up, spec.spine_latency);
    }
  }
}

Topology::Topology(const ClusterSpec& spec, std::int64_t nodes) : graph_(std::make_unique<Graph>()) {
  assert(nodes > 0 && spec.gpus_per_node > 0 && spec.nodes_per_leaf > 0);
  graph_->spec = spec;
  std::vector<std::vector<Device>> nics;  // [nodes][nics_per_node]
  for (std::int64_t node = 0; node < nodes; ++node) nics.push_back(graph_->add_node(node));
  if (nodes > 1) graph_->add_fabric(nics);
}
Topology::~Topology() = default;
Topology::Topology(Topology&&) noexcept = default;
Topology& Topology::operator=(Topology&&) noexcept = default;

std::int64_t Topology::gpus() const { return static_cast<std::int64_t>(graph_->gpus.size()); }

Resolved Topology::resolve(std::span<const std::int64_t> placement, const Traffic& traffic) const {
  const Links& g = graph_->links;
  const std::size_t ranks = placement.size();
  assert(traffic.size() == ranks * ranks);
  Resolved result;
  result.ranks = static_cast<std::int64_t>(ranks);
  result.nodes = static_cast<std::int64_t>(ranks_by_node(placement, graph_->spec.gpus_per_node).size());
  std::vector<double> load(boost::num_edges(g), 0), flow(boost::num_vertices(g), 0);
  Paths paths;
  for (std::size_t from = 0; from < ranks; ++from) {
    find_paths(g, graph_->gpus.at(static_cast<std::size_t>(placement[from])).out, paths);
    for (std::size_t to = 0; to < ranks; ++to) {
      const double bytes = traffic[from * ranks + to];
      if (bytes == 0 || placement[from] == placement[to]) continue;
      const Vertex target = graph_->gpus.at(static_cast<std::size_t>(placement[to])).in;
      assert(paths.hops[target] > 0);  // a cluster of several nodes has NICs
      flow[target] += bytes;
      result.latency = std::max(result.latency, paths.latency[target]);
    }
    add_loads(g, paths, flow, load);
  }
  find_busiest(g, load, result);
  return result;
}

// Two collectives at once: over the rails to the GPU of the same rank within each other node, and inside nodes. They load different links.
Resolved Topology::resolve_forwarded(std::span<const std::int64_t> placement, double to_nodes, double to_ranks) const {
  const std::size_t ranks = placement.size();
  const auto nodes = ranks_by_node(placement, graph_->spec.gpus_per_node);
  Traffic rails(ranks * ranks, 0), inside(ranks * ranks, 0);
  for (const auto& [node, local] : nodes) {
    for (std::size_t i = 0; i < local.size(); ++i) {
      double* rail = &rails[local[i] * ranks];
      for (const auto& [other, there] : nodes)
        if (other != node) rail[there[i % there.size()]] += to_nodes / static_cast<double>(nodes.size() - 1);
      for (const std::size_t peer : local)
        if (peer != local[i]) inside[local[i] * ranks + peer] = to_ranks / static_cast<double>(local.size() - 1);
    }
  }
  Resolved result = resolve(placement, rails);
  const Resolved local = resolve(placement, inside);
  if (local.nvlink_seconds_per_byte >= result.nic_seconds_per_byte) result.busiest = local.busiest;
  result.nvlink_seconds_per_byte = local.nvlink_seconds_per_byte;
  result.latency += local.latency;
  return result;
}

BytesPerSecond Topology::bisection_bandwidth() const {
  const Links& g = graph_->links;
  FlowNet net(boost::num_vertices(g) + 2);
  for (auto [e, end] = boost::edges(g); e != end; ++e) add_pipe(net, boost::source(*e, g), boost::target(*e, g), g[*e].capacity);
  const Vertex source = boost::num_vertices(g), sink = source + 1;
  const auto per_node = static_cast<std::size_t>(graph_->spec.gpus_per_node);
  const std::size_t nodes = graph_->gpus.size() / per_node, half = nodes > 1 ? nodes / 2 * per_node : per_node / 2;
  const BytesPerSecond unlimited{1e15};  // far above any GPU, and the sum of thousands still fits an int64
  for (std::size_t i = 0; i < graph_->gpus.size(); ++i) {
    if (i < half) add_pipe(net, source, graph_->gpus[i].out, unlimited);
    else add_pipe(net, graph_->gpus[i].in, sink, unlimited);
  }
  const auto flow = boost::push_relabel_max_flow(net, source, sink,
                                                 boost::capacity_map(boost::get(&Pipe::capacity, net))
                                                     .residual_capacity_map(boost::get(&Pipe::residual, net))
                                                     .reverse_edge_map(boost::get(&Pipe::reverse, net)));
  return BytesPerSecond{static_cast<double>(flow)};
}

std::string Topology::graphviz() const {
  const Links& g = graph_->links;
  std::string dot = "digraph cluster {\n";
  for (auto [e, end] = boost::edges(g); e != end; ++e)
    dot +=
        fmt::format("  \"{}\" -> \"{}\" [label=\"{:g} GB/s\"];\n", g[boost::source(*e, g)].device, g[boost::target(*e, g)].device, g[*e].capacity.value / 1e9);
  return dot + "}\n";
}

Traffic all_to_all(std::int64_t ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  Traffic traffic(n * n, 1.0 / static_cast<double>(ranks));
  for (std::size_t i = 0; i < n; ++i) traffic[i * n + i] = 0;
  return traffic;
}

Traffic ring(std::int64_t ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  Traffic traffic(n * n, 0);
  for (std::size_t i = 0; n > 1 && i < n; ++i) traffic[i * n + (i + 1) % n] = 1;
  return traffic;
}

Traffic neighbour(std::int64_t ranks) {
  const auto n = static_cast<std::size_t>(ranks);
  Traffic traffic(n * n, 0);
  if (n > 1) traffic[1] = 1;
  return traffic;
}

}  // namespace fathom::hardware_profiles
