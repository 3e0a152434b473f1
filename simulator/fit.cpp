// Does a phase fit in memory, how large may its batch be, and which machines hold a model at all.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "simulator/estimate.h"

namespace fathom::simulator {
namespace {

struct Room {
  const Plan& plan;
  std::int64_t tokens_per_sequence;
  Bytes limit, reserved;
  BoundPlan bound{};

  // Memory of the fullest stage while it runs the batch and keeps its sequences at full length.
  RankMemory fullest(const Batch& batch) {
    RankMemory most;
    const auto resident = static_cast<double>(batch.sequences() * plan.layout.micro_batches * paged(tokens_per_sequence));
    for (std::size_t stage = 0; stage < plan.stages.size(); ++stage) {
      bind(plan, stage, batch, bound);
      const auto m = memory(plan, stage, bound, resident);
      if (stage == 0 || m.total() > most.total()) most = m;
    }
    return most;
  }
  bool holds(const Batch& batch) { return fullest(batch).total() + reserved <= limit; }
};

Batch with_sequences(const Batch& batch, std::int64_t n) {
  Batch b = batch;
  auto& g = b.groups.front();
  b.sampled = b.sampled / std::max<std::int64_t>(g.sequences, 1) * n;
  g.sequences = n;
  return b;
}

std::int64_t largest_batch(Room& room, const Batch& batch) {
  if (batch.groups.size() != 1 || !room.holds(with_sequences(batch, 1))) return 0;
  std::int64_t low = 1, high = 2;
  for (; high < (1 << 20) && room.holds(with_sequences(batch, high)); high *= 2) low = high;
  while (high - low > 1) {
    const auto middle = (low + high) / 2;
    (room.holds(with_sequences(batch, middle)) ? low : high) = middle;
  }
  return low;
}

std::string reason_against(const Fit& f, const HardwareProfile& profile, const Batch& batch, double fraction) {
  const auto gb = [](Bytes b) { return b.value / 1e9; };
  const auto& m = f.memory;
  const auto limit = fmt::format("{:.1f} GB of {} ({:.0f} % of {:.1f} GB usable)", gb(f.limit), profile.name, 100 * fraction, gb(profile.hbm_usable));
  const auto weights = m.weight_sum() + m.absorbed_weights;
  if (weights + f.reserved > f.limit)
    return fmt::format("weights of {:.1f} GB and {:.1f} GB reserved exceed the {} on each GPU", gb(weights), gb(f.reserved), limit);
  return fmt::format("{} sequences a rank need {:.1f} GB (weights {:.1f}, caches {:.1f}, buffers {:.1f}, reserved {:.1f}), more than the {}; {}", batch.sequences(),
                     gb(f.needed()), gb(weights), gb(m.latent_cache + m.index_cache), gb(m.activations + m.logits_workspace + m.communication_buffers),
                     gb(f.reserved), limit, f.largest_batch > 0 ? fmt::format("{} would fit", f.largest_batch) : "not even one would fit");
}

// Experts that must be added for ep ranks to hold equally many.
std::int64_t filling_experts(const ModelSpec& m, std::int64_t ep) { return (ep - m.n_routed_experts % ep) % ep; }

}  // namespace

Fit fit(const Plan& plan, const HardwareProfile& profile, const Batch& batch, std::int64_t tokens_per_sequence, double gpu_mem_fraction) {
  Fit f{.memory = {}, .reserved = profile.reserved, .limit = profile.hbm_usable * gpu_mem_fraction, .reason = {}};
  Room room{plan, tokens_per_sequence, f.limit, f.reserved};
  f.memory = room.fullest(batch);
  f.largest_batch = largest_batch(room, batch);
  if (f.needed() > f.limit) f.reason = reason_against(f, profile, batch, gpu_mem_fraction);
  return f;
}

std::vector<VramRow> vram(const Scenario& s, const std::vector<std::string>& systems, std::int64_t concurrency) {
  static constexpr std::int64_t counts[] = {1, 2, 4, 8, 16, 24, 32, 40, 48, 64, 72, 96, 128, 144, 192, 256, 320};
  const auto length = s.workload.isl + s.workload.osl;
  std::vector<VramRow> rows;
  for (const auto& system : systems) {
    const auto profile = hardware_profiles::find_profile(system);
    VramRow row{.system = profile.name, .layout = {}, .fit = {}, .reason = {}};
    for (const auto n : counts) {
      if (profile.cluster.max_nodes > 0 && n > profile.cluster.max_nodes * profile.cluster.gpus_per_node) break;
      const Layout data{.dp = n, .ep = n, .redundant_experts = filling_experts(s.model, n)}, tensor{.tp = n, .ep = n};
      for (const auto& layout : {data, tensor}) {
        if (layout.tp > profile.cluster.gpus_per_node || check(s.model, layout)) continue;
        const auto batch = (concurrency + layout.dp - 1) / layout.dp;
        const auto p = plan(s.model, layout, s.decode.policy);
        const auto f = fit(p, profile, decode(batch, length - 1, 1 + s.decode.policy.mtp_depth), length, s.gpu_mem_fraction);
        row = {profile.name, layout, n, batch, f, f.reason};
        if (row.reason.empty()) break;
      }
      if (row.gpus == n && row.reason.empty()) break;
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace fathom::simulator
