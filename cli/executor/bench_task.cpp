#include "cli/executor/bench_task.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/executor/machine.h"
#include "cli/executor/subject.h"
#include "cli/grid.h"
#include "executor/run.h"
#include "model_spec/version.h"

#ifdef FATHOM_HAVE_CUDA
#include "executor/cuda/devices.h"
#endif

namespace fathom::cli {
namespace {

Machine machine_of(const Scenario& scenario, const Plan& plan) {
  const auto profile = hardware_profiles::find_profile(scenario.decode.system);
  auto machine = prepare(profile, calibration_of(scenario, profile), plan);
  if (!machine.refusal.empty()) throw Error(Failure::usage, fmt::format("bench: {}: {}", profile.name, machine.refusal));
  return machine;
}

Policy executed(Policy policy, const std::vector<Group>& points) {
  policy.overlap = Overlap::none;
  policy.chunked_prefill_tokens = 1;
  for (const auto& g : points) policy.chunked_prefill_tokens = std::max(policy.chunked_prefill_tokens, g.sequences * g.new_tokens);
  return policy;
}

std::vector<Group> default_steps(const ModelSpec& m) {
  std::vector<Group> points;
  for (const std::int64_t cached : {4096, 32'768, 131'072})
    if (cached < m.max_position_embeddings) points.push_back({1, 1, cached});
  return points.empty() ? std::vector<Group>{{1, 1, m.max_position_embeddings - 1}} : points;
}

}  // namespace

BenchArguments bench_arguments(const Request& request) {
  BenchArguments all;
  if (const auto found = request.options.find("grid"); found != request.options.end()) all.terms = found->second;
  for (const auto& argument : request.arguments) (argument.find('=') == std::string::npos ? all.words : all.terms).push_back(argument);
  return all;
}

BenchTask bench_task(const Request& request, const std::vector<std::string>& terms, bool whole_step) {
  const auto scenario = flags_scenario(request, {{"system", "\"h200_sxm\"", "built in"}});
  const auto& phase = scenario.decode;
  if (gpus(phase.layout) > 1) throw Error(Failure::usage, "bench: several GPUs are not timed yet: leave the layout at one rank");
  const auto model = cut_of(request, scenario.model);
  BenchTask task{.plan = {},
                 .numerics = request.option("numerics", "fp8") == "fp8" ? executor::Numerics::fp8 : executor::Numerics::bf16,
                 .machine = {},
                 .points = whole_step && terms.empty() ? default_steps(model) : grid_of(terms, model)};
  if (const auto reason = executor::check(model, phase.layout, phase.policy, task.numerics); whole_step && reason)
    throw Error(Failure::usage, "bench step: " + *reason);
  task.plan = plan(model, phase.layout, whole_step ? executed(phase.policy, task.points) : phase.policy, whole_step);
  task.machine = machine_of(scenario, task.plan);
  return task;
}

hardware_profiles::Measurements measured_here([[maybe_unused]] executor::Numerics numerics) {
#ifdef FATHOM_HAVE_CUDA
  executor::require_cuda();
  const auto facts = executor::cuda_facts();
  const auto driver = gpu_driver();
  const auto commit = version_commit();
  const auto today = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return {.device = facts.devices.front().name,
          .kernel_set = fmt::format("fathom {}", name_of(numerics)),
          .date = fmt::format("{:%Y-%m-%d}", fmt::gmtime(today)),
          .versions = {.driver = driver.empty() ? "for CUDA " + facts.driver : driver,
                       .cuda = facts.runtime,
                       .cublas_lt = facts.cublas_lt,
                       .fathom = std::string(version()) + (commit.empty() ? "" : fmt::format(" ({})", commit))},
          .all = {}};
#else
  throw Error(Failure::device, "bench: not built into this fathom-executor (no nvcc of CUDA 13 was found)");
#endif
}

}  // namespace fathom::cli
