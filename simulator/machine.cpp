#include "simulator/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fathom::simulator {
namespace {

using hardware_profiles::Resolved;
using hardware_profiles::Topology;
using hardware_profiles::Traffic;

// Ranks lie on GPUs in order: tensor parallel fastest, then data parallel, then pipeline stages.
std::vector<std::int64_t> first_gpus(std::int64_t n) {
  std::vector<std::int64_t> gpus(static_cast<std::size_t>(n));
  std::iota(gpus.begin(), gpus.end(), 0);
  return gpus;
}

// Rings through all ranks, one a GPU of a node, each leaving a node where it enters the next so that all rails carry an equal share
// (nodes are walked to and fro). One byte sent by each rank, spread over the rings.
Traffic rings(std::int64_t ranks, std::int64_t per_node) {
  if (ranks <= per_node || ranks % per_node != 0) return hardware_profiles::ring(ranks);
  Traffic traffic(static_cast<std::size_t>(ranks * ranks), 0);
  const auto nodes = ranks / per_node;
  for (std::int64_t r = 0; r < per_node; ++r) {
    std::vector<std::int64_t> order;
    for (std::int64_t node = 0; node < nodes; ++node)
      for (std::int64_t i = 0; i < per_node; ++i) order.push_back(node * per_node + (r + (node % 2 == 0 ? i : per_node - 1 - i)) % per_node);
    for (std::int64_t i = 0; i < ranks; ++i) {
      const auto from = order[static_cast<std::size_t>(i)], to = order[static_cast<std::size_t>((i + 1) % ranks)];
      traffic[static_cast<std::size_t>(from * ranks + to)] += 1.0 / static_cast<double>(per_node);
    }
  }
  return traffic;
}

// `scale`: payload bytes of `resolved` per byte that a rank sends.
Wire make_wire(const Efficiency& e, const Resolved& resolved, std::int64_t ranks, double scale) {
  return {.seconds_per_byte = scale * std::max(resolved.nvlink_seconds_per_byte / e.nvlink, resolved.nic_seconds_per_byte / e.nic),
          .floor_seconds_per_byte = scale * std::max(resolved.nvlink_seconds_per_byte, resolved.nic_seconds_per_byte),
          .fixed = e.fixed + e.per_log2_rank * std::log2(static_cast<double>(ranks)),
          .busiest = resolved.busiest};
}

class Preparer {
 public:
  Preparer(Machine& machine, const Plan& plan, const Topology& topology) : machine_(machine), plan_(plan), topology_(topology) {}

  // Rings in all groups of `ranks` neighbours of a stage at once.
  void add_ring(Family family, std::int64_t ranks, std::size_t group) {
    const auto all = stage_ranks(plan_.layout);
    const auto ring = rings(ranks, machine_.profile.cluster.gpus_per_node);
    Traffic traffic(static_cast<std::size_t>(all * all), 0);
    for (std::int64_t first = 0; first < all; first += ranks)
      for (std::int64_t i = 0; i < ranks; ++i) std::copy_n(ring.begin() + i * ranks, ranks, traffic.begin() + (first + i) * all + first);
    add(family, group, ranks, topology_.resolve(first_gpus(all), traffic), 1);
  }
  void add_exchange(Family family, std::int64_t ranks) {
    const auto placement = first_gpus(ranks);
    const auto n = static_cast<double>(ranks);
    if (family == Family::dispatch_low_latency || family == Family::combine_low_latency) {
      add(family, 1, ranks, topology_.resolve(placement, hardware_profiles::all_to_all(ranks)), n / (n - 1));
      return;
    }
    const auto per_node = std::min(ranks, machine_.profile.cluster.gpus_per_node);
    const auto nodes = (ranks + per_node - 1) / per_node;
    const double copies = plan_.routing.distinct_ranks;
    const auto share_away = [](std::int64_t places) { return static_cast<double>(places - 1) / static_cast<double>(places); };
    // The etp slices of an expert are neighbours: one copy comes to their node, NVLink makes the others.
    const auto etp = static_cast<double>(plan_.layout.etp);
    const auto resolved = topology_.resolve_forwarded(placement, expected_places(plan_.model, nodes) * share_away(nodes), copies * etp * share_away(per_node));
    add(family, 1, ranks, resolved, 1 / (copies * etp * share_away(ranks)));
  }
  // Every rank of every stage sends to its counterpart in the next.
  void add_next_stage(std::int64_t ranks) {
    const auto all = gpus(plan_.layout);
    Traffic traffic(static_cast<std::size_t>(all * all), 0);
    for (std::int64_t i = 0; i + ranks < all; ++i) traffic[static_cast<std::size_t>(i * all + i + ranks)] = 1;
    add(Family::send_recv, 1, 2, topology_.resolve(first_gpus(all), traffic), 1);
  }

 private:
  void add(Family family, std::size_t group, std::int64_t ranks, const Resolved& resolved, double scale) {
    const auto* e = machine_.calibration.find(family, Arithmetic::fp32);
    if (!e) return;  // refused when a plan uses it (op_time)
    machine_.wires[static_cast<std::size_t>(family)][group] = make_wire(*e, resolved, ranks, scale);
    if (family >= Family::dispatch_normal && family <= Family::combine_low_latency)
      machine_.overlapped_sm_share[family >= Family::dispatch_low_latency] =
          std::max(machine_.overlapped_sm_share[family >= Family::dispatch_low_latency], e->sm_share);
  }
  Machine& machine_;
  const Plan& plan_;
  const Topology& topology_;
};

}  // namespace

Machine prepare(const HardwareProfile& profile, const Calibration& calibration, const Plan& plan) {
  Machine machine{.profile = profile, .calibration = calibration, .wires = {}, .tp = plan.layout.tp, .overlapped_sm_share = {}, .refusal = {}};
  const auto wanted = gpus(plan.layout), per_node = profile.cluster.gpus_per_node;
  const auto nodes = (wanted + per_node - 1) / per_node;
  if (profile.cluster.max_nodes > 0 && nodes > profile.cluster.max_nodes) {
    machine.refusal = fmt::format("{} GPUs are more than the {} of the cluster {}", wanted, profile.cluster.max_nodes * per_node, profile.name);
    return machine;
  }
  const auto& storage = plan.model.storage;
  for (const auto type : {storage.attention, storage.indexer, storage.dense_ffn, storage.shared_experts, storage.routed_experts, storage.embedding})
    if (!profile.matrix_rate[static_cast<std::size_t>(arithmetic_for(type))]) {
      machine.refusal = fmt::format("{} has no rate for {} products, which {} weights need", profile.name, name_of(arithmetic_for(type)), name_of(type));
      return machine;
    }
  const Topology topology(profile.cluster, nodes);
  Preparer p(machine, plan, topology);
  const auto ranks = stage_ranks(plan.layout);
  for (const auto family : {Family::all_reduce, Family::all_gather, Family::reduce_scatter}) {
    if (plan.layout.tp > 1) p.add_ring(family, plan.layout.tp, 0);
    if (ranks > 1) p.add_ring(family, ranks, 1);
  }
  if (has_dispatch(plan.layout))
    for (const auto family : {Family::dispatch_normal, Family::combine_normal, Family::dispatch_low_latency, Family::combine_low_latency})
      p.add_exchange(family, ranks);
  if (plan.layout.pp > 1) p.add_next_stage(ranks);
  return machine;
}

}  // namespace fathom::simulator
