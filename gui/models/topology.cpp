// The machines that serve a phase: a few nodes drawn whole, the rest counted.
#include <fmt/format.h>

#include <algorithm>

#include "gui/models/views.h"
#include "model_spec/place.h"

namespace fathom::gui {
namespace {

using hardware_profiles::HardwareProfile;

constexpr std::int64_t most_nodes = 4, most_gpus = 8, few_gpus = 4;  // drawn one by one; few_gpus of a node with more than most_gpus
enum Colour : int { gpu_colour = 0, nic_colour = 1, nvswitch_colour = 2, fabric_colour = 4, idle_colour = 7 };

std::string rate_text(BytesPerSecond rate) { return shown(Cell{rate.value / 1e9}, Kind::real) + " GB/s each way"; }
std::string hop_text(Seconds s) { return shown(Cell{1e6 * s.value}, Kind::real) + " us a hop"; }
std::string counted(std::int64_t n, const char* one, const char* many) { return fmt::format("{} {}", n, n == 1 ? one : many); }

// "tp1 dp5 ep11": where a rank stands in every dimension that is split.
std::string place_text(const Layout& l, std::int64_t rank) {
  const auto place = place_of(l, rank);
  std::string out;
  const auto add = [&](const char* name, std::int64_t size, std::int64_t at) {
    if (size > 1) out += fmt::format("{}{}{}", out.empty() ? "" : " ", name, at);
  };
  add("pp", l.pp, place.stage);
  add("tp", l.tp, place.tp);
  add("dp", l.dp, place.dp);
  add("etp", l.etp, place.etp);
  add("ep", l.ep, place.ep);
  return out.empty() ? "whole model" : out;
}

class Drawing {
 public:
  Drawing(const HardwareProfile& profile, const Layout& layout)
      : profile_(profile),
        cluster_(profile.cluster),
        layout_(layout),
        ranks_(gpus(layout)),
        nodes_((ranks_ + cluster_.gpus_per_node - 1) / cluster_.gpus_per_node),
        left_(nodes_ > 1 ? 1.5 : 0),
        columns_(cluster_.gpus_per_node > most_gpus ? few_gpus + 1 : cluster_.gpus_per_node) {}

  Diagram draw(PhaseName p) {
    d_.title = fmt::format("{} on {} of {} in {}", title_of(p), counted(ranks_, "GPU", "GPUs"), profile_.name, counted(nodes_, "node", "nodes"));
    if (nodes_ > 1) add_fabric();
    for (std::int64_t n = 0; n < std::min(nodes_, most_nodes); ++n) add_node(n);
    if (nodes_ > most_nodes) add_more_nodes();
    return std::move(d_);
  }

 private:
  std::size_t add(Node n) {
    d_.nodes.push_back(std::move(n));
    return d_.nodes.size() - 1;
  }
  void link(std::size_t from, std::size_t to, std::string label, std::vector<Place> bends, double weight = 1) {
    d_.edges.push_back({.from = from, .to = to, .label = std::move(label), .arrow = false, .weight = weight, .bends = std::move(bends)});
  }
  // From the trunk below the leaves to what hangs on it in this row.
  void hang(std::size_t node, std::int64_t nics) {
    const auto leaf = d_.nodes[leaf_].at;
    const bool beside = row_ == leaf.y;
    link(leaf_, node, fmt::format("{} x {}", nics, rate_text(cluster_.nic)), beside ? std::vector<Place>{} : std::vector{Place{leaf.x, row_}});
  }
  // From a box in the middle of the node to all its GPUs, by a bus half way. One label says it for all, between the last two.
  void fan(std::size_t hub, const std::vector<std::size_t>& gpus, const std::string& label, double weight) {
    for (std::size_t i = 0; i < gpus.size(); ++i) {
      const auto from = d_.nodes[hub].at, to = d_.nodes[gpus[i]].at;
      const double half_way = (from.y + to.y) / 2;
      std::vector<Place> bends{{from.x, half_way}, {to.x, half_way}};
      const bool last = i + 1 == gpus.size();
      if (last && i > 0) bends.insert(bends.begin() + 1, {d_.nodes[gpus[i - 1]].at.x, half_way});
      link(hub, gpus[i], last ? label : std::string(), std::move(bends), weight);
    }
  }
  [[nodiscard]] double middle() const { return left_ + column_step * static_cast<double>(columns_ - 1) / 2; }
  [[nodiscard]] std::string source(const char* key) const {
    const auto found = profile_.sources.find(key);
    return found == profile_.sources.end() ? std::string() : "\n" + wrapped("source: " + found->second, 80, 8);
  }

  void add_fabric();
  void add_node(std::int64_t node);
  void add_more_nodes();
  [[nodiscard]] Node gpus_node(std::int64_t first, std::int64_t count) const;

  const HardwareProfile& profile_;
  const hardware_profiles::ClusterSpec& cluster_;
  const Layout& layout_;
  std::int64_t ranks_, nodes_;
  double left_;           // of the nodes
  std::int64_t columns_;  // of a node
  Diagram d_;
  std::size_t leaf_ = 0;
  double row_ = 0;  // where the next node begins
};

void Drawing::add_fabric() {
  const auto leaves = cluster_.nics_per_node * ((nodes_ + cluster_.nodes_per_leaf - 1) / cluster_.nodes_per_leaf);
  const auto up = cluster_.nic * (static_cast<double>(std::min(nodes_, cluster_.nodes_per_leaf)) / cluster_.oversubscription);
  const auto spine = add({.key = {},
                          .label = "Spine",
                          .detail = fmt::format("{:g}:1 to the leaves", cluster_.oversubscription),
                          .tip = fmt::format("{} between leaf and spine{}\noversubscription {:g}{}", hop_text(cluster_.spine_latency),
                                             source("spine_latency_us"), cluster_.oversubscription, source("oversubscription")),
                          .colour = fabric_colour});
  row_ = row_step;
  leaf_ = add({.key = {},
               .label = counted(leaves, "leaf", "leaves"),
               .detail = fmt::format("{} nodes each", cluster_.nodes_per_leaf),
               .tip = fmt::format("NIC i of {} nodes meets on leaf i{}\n{} between NIC and leaf{}", cluster_.nodes_per_leaf, source("nodes_per_leaf"),
                                  hop_text(cluster_.nic_latency), source("nic_latency_us")),
               .colour = fabric_colour,
               .at = {0, row_}});
  link(leaf_, spine, fmt::format("{} x {}", leaves, rate_text(up)), {});
}

Node Drawing::gpus_node(std::int64_t first, std::int64_t count) const {
  const auto last = std::min(first + count, ranks_) - 1;
  const bool used = last >= first;
  Node n{.key = {},
         .label = fmt::format("GPU {}", first),
         .detail = "not used",
         .tip = fmt::format("GPU {} holds no rank", first),
         .colour = used ? gpu_colour : idle_colour};
  if (used) {
    n.detail = place_text(layout_, first);
    n.tip = fmt::format("rank {} of {}: {}", first, ranks_, n.detail);
  }
  if (count == 1) return n;
  n.label = fmt::format("… {} more", count);
  n.detail = fmt::format("GPU {} to {}", first, first + count - 1);
  n.tip = used ? fmt::format("rank {}: {}\nto rank {}: {}", first, place_text(layout_, first), last, place_text(layout_, last)) : "they hold no ranks";
  return n;
}

void Drawing::add_node(std::int64_t node) {
  const auto first = node * cluster_.gpus_per_node;
  const double top = row_, gpu_row = nodes_ > 1 ? top + row_step : top;
  std::vector<std::size_t> gpus;
  for (std::int64_t i = 0; i < columns_; ++i) {
    const bool rest = i == few_gpus && cluster_.gpus_per_node > most_gpus;
    gpus.push_back(add(gpus_node(first + i, rest ? cluster_.gpus_per_node - few_gpus : 1)));
    d_.nodes.back().at = {left_ + column_step * static_cast<double>(i), gpu_row};
  }
  if (nodes_ > 1) {
    const auto nics = add({.key = {},
                           .label = counted(cluster_.nics_per_node, "NIC", "NICs"),
                           .detail = fmt::format("of node {}", node),
                           .tip = fmt::format("{} a NIC{}\n{} in a node{}", rate_text(cluster_.nic), source("nic_GBps"),
                                              counted(cluster_.nics_per_node, "NIC", "NICs"), source("nics_per_node")),
                           .colour = nic_colour,
                           .at = {middle(), top}});
    hang(nics, cluster_.nics_per_node);
    fan(nics, gpus, rate_text(cluster_.nic), 1);
  }
  const auto nvswitch =
      add({.key = {},
           .label = "NVSwitch",
           .detail = counted(cluster_.gpus_per_node, "GPU", "GPUs"),
           .tip = fmt::format("{} a GPU{}\n{}{}\n{} behind it{}", rate_text(cluster_.nvlink), source("nvlink_GBps"), hop_text(cluster_.nvlink_latency),
                              source("nvlink_latency_us"), counted(cluster_.gpus_per_node, "GPU", "GPUs"), source("gpus_per_node")),
           .colour = nvswitch_colour,
           .at = {middle(), gpu_row + row_step}});
  fan(nvswitch, gpus, rate_text(cluster_.nvlink), 2);
  d_.frames.push_back({fmt::format("node {}", node), {left_, top}, {left_ + column_step * static_cast<double>(columns_ - 1), gpu_row + row_step}});
  row_ = gpu_row + 2 * row_step + 0.4;
}

void Drawing::add_more_nodes() {
  const auto hidden = nodes_ - most_nodes, first = most_nodes * cluster_.gpus_per_node;
  hang(add({.key = {},
            .label = fmt::format("… {} more", hidden),
            .detail = hidden == 1 ? "node alike" : "nodes alike",
            .tip = fmt::format("GPU {} to {}", first, nodes_ * cluster_.gpus_per_node - 1),
            .colour = idle_colour,
            .at = {middle(), row_}}),
       hidden * cluster_.nics_per_node);
}

}  // namespace

Diagram topology_diagram(const Answer& a, PhaseName p) {
  if (!a.scenario) return {.title = "Cluster", .nodes = {}, .edges = {}, .frames = {}, .empty = a.nothing(p)};
  return Drawing(a.system(p).profile, a.phase(p).layout).draw(p);
}

}  // namespace fathom::gui
