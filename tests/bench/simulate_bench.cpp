// What a search pays for a point: bind + simulate + memory of V3.2 at EP144 with 288 physical experts, and plan once per layout.
#include <benchmark/benchmark.h>

#include "model_spec/memory.h"
#include "simulator/simulate.h"

namespace {

using namespace fathom::simulator;

const Layout layout{.dp = 144, .ep = 144, .redundant_experts = 32};

void bind_simulate_memory(benchmark::State& state) {
  const auto p = plan(find_model("deepseek-v3.2"), layout, {});
  const auto profile = fathom::hardware_profiles::find_profile("h800_sxm");
  const auto machine = prepare(profile, fathom::hardware_profiles::find_calibration(profile.calibration_name), p);
  BoundPlan bound;
  Trace trace;
  auto batch = decode(128, 4989);
  for (auto _ : state) {
    batch.groups[0].cached_tokens ^= 1;
    simulate(p, 0, machine, batch, bound, trace);
    benchmark::DoNotOptimize(trace.total.value);
    benchmark::DoNotOptimize(memory(p, 0, bound, 128.0 * 5056).total().value);
  }
}
BENCHMARK(bind_simulate_memory)->Unit(benchmark::kMicrosecond);

void plan_layout(benchmark::State& state) {
  const auto spec = find_model("deepseek-v3.2");
  for (auto _ : state) benchmark::DoNotOptimize(plan(spec, layout, {}).stages.size());
}
BENCHMARK(plan_layout)->Unit(benchmark::kMicrosecond);

}  // namespace
