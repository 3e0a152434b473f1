#include <fmt/format.h>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/graphml.hpp>
#include <boost/graph/graphviz.hpp>
#include <boost/property_map/function_property_map.hpp>
#include <sstream>

#include "model_spec/plan.h"

namespace fathom::model_spec {
namespace {

using Csr = boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, boost::no_property, boost::no_property, std::uint32_t, std::uint32_t>;
using Edge = std::pair<std::uint32_t, std::uint32_t>;

// Who wrote an operand last, and who has read it since.
struct Uses {
  std::int64_t writer = -1;
  std::vector<std::uint32_t> readers;
};

class EdgeFinder {
 public:
  std::vector<Edge> edges;  // (later, earlier)

  void read(std::uint32_t step, Uses& uses) {
    if (uses.writer >= 0) add(step, static_cast<std::uint32_t>(uses.writer));
    uses.readers.push_back(step);
  }
  void write(std::uint32_t step, Uses& uses) {
    if (uses.writer >= 0) add(step, static_cast<std::uint32_t>(uses.writer));
    for (const auto reader : uses.readers) add(step, reader);
    uses.readers.clear();
    uses.writer = step;
  }

 private:
  void add(std::uint32_t later, std::uint32_t earlier) {
    if (later == earlier) return;
    for (auto it = edges.rbegin(); it != edges.rend() && it->first == later; ++it)
      if (it->second == earlier) return;
    edges.emplace_back(later, earlier);
  }
};

std::vector<Edge> find_edges(const std::vector<Step>& steps) {
  std::array<Uses, 256> activations;
  std::array<Uses, 2> caches;
  EdgeFinder finder;
  for (std::uint32_t i = 0; i < steps.size(); ++i) {
    for (const auto& o : steps[i].operands) {
      if (o.role == Role::input) finder.read(i, activations[o.id]);
      if (o.role == Role::cache_read) finder.read(i, caches[o.id]);
    }
    for (const auto& o : steps[i].operands) {
      if (o.role == Role::output) finder.write(i, activations[o.id]);
      if (o.role == Role::cache_write) finder.write(i, caches[o.id]);
    }
  }
  return finder.edges;
}

}  // namespace

struct Dependencies::Graph {
  Csr csr;
  explicit Graph(const std::vector<Step>& steps)
      : csr([&] {
          const auto edges = find_edges(steps);
          return Csr(boost::edges_are_sorted, edges.begin(), edges.end(), static_cast<std::uint32_t>(steps.size()));
        }()) {}
};

Dependencies::Dependencies(const std::vector<Step>& steps) : graph_(std::make_unique<Graph>(steps)) {}
Dependencies::~Dependencies() = default;

std::span<const std::uint32_t> Dependencies::before(std::size_t step) const {
  const auto& forward = graph_->csr.m_forward;
  const auto first = forward.m_rowstart[step], last = forward.m_rowstart[step + 1];
  return {forward.m_column.data() + first, last - first};
}

namespace {

// The same edges turned round, from earlier to later, as both writers want them.
using Drawn = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS>;
Drawn drawn(const Dependencies& dependencies, std::size_t steps) {
  Drawn graph(steps);
  for (std::size_t i = 0; i < steps; ++i)
    for (const auto earlier : dependencies.before(i)) boost::add_edge(earlier, i, graph);
  return graph;
}

}  // namespace

std::string Dependencies::graphviz(const std::string& title, const std::vector<Step>& steps) const {
  const auto label = [&](std::ostream& o, std::size_t v) {
    const char* colour = steps[v].stream == Stream::communication ? ", style=filled, fillcolor=lightsteelblue" : "";
    o << fmt::format("[label=\"{}\\n{}\"{}]", steps[v].label, op_name(steps[v].op), colour);
  };
  const auto head = [&](std::ostream& o) { o << fmt::format("label=\"{}\"; node [shape=box, fontname=\"sans-serif\"];\n", title); };
  std::ostringstream os;
  boost::write_graphviz(os, drawn(*this, steps.size()), label, boost::default_writer(), head);
  return os.str();
}

std::string Dependencies::graphml(const std::vector<Step>& steps) const {
  const auto property = [](auto f) { return boost::make_function_property_map<std::size_t>(f); };
  boost::dynamic_properties properties;
  properties.property("label", property([&](std::size_t v) { return std::string(steps[v].label); }));
  properties.property("op", property([&](std::size_t v) { return std::string(op_name(steps[v].op)); }));
  properties.property("stream", property([&](std::size_t v) { return std::string(steps[v].stream == Stream::compute ? "compute" : "communication"); }));
  std::ostringstream os;
  boost::write_graphml(os, drawn(*this, steps.size()), properties, true);
  return os.str();
}

}  // namespace fathom::model_spec
