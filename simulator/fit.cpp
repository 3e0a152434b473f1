// Does a phase fit in memory, how large may its batch be, and which machines hold a model at all.
#include <fmt/format.h>

#include <algorithm>

#include "model_spec/error.h"
#include "simulator/estimate.h"
#include "simulator/simulate.h"

namespace fathom::simulator {
namespace {

struct Room {
  const Plan& plan;
  Bytes limit, reserved;
  BoundPlan bound{};

  // Two-batch overlap runs halves, and keeps the activations of both.
  RankMemory step(std::size_t stage, const Batch& batch, double resident) {
    const bool halves = plan.policy.overlap == Overlap::two_batch;
    bind(plan, stage, halves ? half_batch(batch) : batch, bound);
    auto m = memory(plan, stage, bound, resident);
    if (halves) m.activations *= 2;
    return m;
  }
  RankMemory fullest(const Load& load) {
    RankMemory most;
    const auto resident = static_cast<double>(load.resident * plan.layout.micro_batches * paged(load.tokens_per_sequence));
    for (std::size_t stage = 0; stage < plan.stages.size(); ++stage)
      for (const auto& batch : load.steps) {
        const auto m = step(stage, batch, resident);
        if (m.total() > most.total()) most = m;
      }
    return most;
  }
  bool holds(const Load& load) { return fullest(load).total() + reserved <= limit; }
};

Load with_sequences(const Load& load, std::int64_t n) {
  auto l = load;
  auto& batch = l.steps.front();
  auto& group = batch.groups.front();
  batch.sampled = batch.sampled / group.sequences * n;
  group.sequences = l.resident = n;
  return l;
}

std::int64_t largest_batch(Room& room, const Load& load) {
  if (!room.holds(with_sequences(load, 1))) return 0;
  std::int64_t low = 1, high = 2;
  for (; high < (1 << 20) && room.holds(with_sequences(load, high)); high *= 2) low = high;
  while (high - low > 1) {
    const auto middle = (low + high) / 2;
    (room.holds(with_sequences(load, middle)) ? low : high) = middle;
  }
  return low;
}

std::string reason_against(const Fit& f, const HardwareProfile& profile, std::int64_t resident, double fraction) {
  const auto gb = [](Bytes b) { return b.value / 1e9; };
  const auto& m = f.memory;
  const auto limit = fmt::format("{:.1f} GB of {} ({:.0f} % of {:.1f} GB usable)", gb(f.limit), profile.name, 100 * fraction, gb(profile.hbm_usable));
  const auto weights = m.weight_sum() + m.absorbed_weights;
  if (weights + f.reserved > f.limit)
    return fmt::format("weights of {:.1f} GB and {:.1f} GB reserved exceed the {} on each GPU", gb(weights), gb(f.reserved), limit);
  return fmt::format("{} sequences a rank need {:.1f} GB (weights {:.1f}, caches {:.1f}, buffers {:.1f}, reserved {:.1f}), more than the {}; {}", resident,
                     gb(f.needed()), gb(weights), gb(m.latent_cache + m.index_cache), gb(m.activations + m.logits_workspace + m.communication_buffers),
                     gb(f.reserved), limit, f.largest_batch > 0 ? fmt::format("{} would fit", f.largest_batch) : "not even one would fit");
}

// Experts that must be added for ep ranks to hold equally many.
std::int64_t filling_experts(const ModelSpec& m, std::int64_t ep) { return (ep - m.n_routed_experts % ep) % ep; }

// Smallest number of GPUs of a profile whose layout serves the load, or the last one tried with its reason.
VramRow smallest(const Scenario& s, const HardwareProfile& profile, std::int64_t concurrency) {
  static constexpr std::int64_t counts[] = {1, 2, 4, 8, 16, 24, 32, 40, 48, 64, 72, 96, 128, 144, 192, 256, 320};
  const auto length = s.workload.isl + s.workload.osl, chunk = s.prefill.policy.chunked_prefill_tokens;
  VramRow row{.system = profile.name, .layout = {}, .fit = {}, .reason = "no layout of this many GPUs suits the model"};
  for (const auto n : counts) {
    const auto most = profile.cluster.max_nodes * profile.cluster.gpus_per_node;
    if ((most > 0 && n > most) || (s.total_gpus > 0 && n > s.total_gpus)) break;
    const Layout data{.dp = n, .ep = n, .redundant_experts = filling_experts(s.model, n)}, tensor{.tp = n, .ep = n};
    for (const auto& layout : {data, tensor}) {
      if (layout.tp > profile.cluster.gpus_per_node || check(s.model, layout)) continue;
      const auto batch = (concurrency + layout.dp - 1) / layout.dp;
      const auto p = plan(s.model, layout, s.decode.policy);
      const Load load{{decode(batch, length - 1, 1 + s.decode.policy.mtp_depth), prefill(1, std::min(chunk, s.workload.isl))}, batch, length};
      const auto f = fit(p, profile, load, s.gpu_mem_fraction);
      row = {profile.name, layout, n, batch, f, f.reason};
      if (row.reason.empty()) return row;
    }
  }
  return row;
}

}  // namespace

Fit fit(const Plan& plan, const HardwareProfile& profile, const Load& load, double gpu_mem_fraction) {
  Fit f{.memory = {}, .reserved = profile.reserved, .limit = profile.hbm_usable * gpu_mem_fraction, .reason = {}};
  Room room{plan, f.limit, f.reserved};
  f.memory = room.fullest(load);
  f.largest_batch = largest_batch(room, load);
  if (f.needed() > f.limit) f.reason = reason_against(f, profile, load.resident, gpu_mem_fraction);
  return f;
}

std::vector<VramRow> vram(const Scenario& s, const std::vector<std::string>& systems, std::int64_t concurrency) {
  if (auto reason = check(s.model, s.decode.policy)) throw Error(Failure::usage, *reason);
  std::vector<VramRow> rows;
  for (const auto& system : systems) rows.push_back(smallest(s, hardware_profiles::find_profile(system), concurrency));
  return rows;
}

}  // namespace fathom::simulator
