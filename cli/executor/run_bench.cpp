// fathom bench: everything that can be refused is refused before the GPU is looked for; the file is written when all is done.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "cli/executor/bench_report.h"
#include "cli/executor/machine.h"
#include "cli/executor/progress.h"
#include "cli/executor/subject.h"
#include "cli/executor/verbs.h"
#include "cli/grid.h"
#include "cli/output.h"
#include "model_spec/version.h"
#include "simulator/machine.h"

#ifdef FATHOM_HAVE_CUDA
#include "executor/cuda/bench.h"
#include "executor/cuda/cuda_backend.h"
#include "executor/cuda/devices.h"
#endif

namespace fathom::cli {
namespace {

using executor::BenchRecord;

// What is to be timed, and what its times are put beside.
struct Task {
  Plan plan;
  executor::Numerics numerics{};
  Machine machine;
  std::int64_t points = 0;
  std::vector<BenchRecord> records;
};

void check_kind(const std::string& name) {
  const auto op = op_named(name);
  if (op && is_exchange(*op)) throw Error(Failure::usage, fmt::format("bench: {}: exchanges between GPUs are not timed yet", name));
  if (op) return;
  const auto near = nearest(name, op_names());
  throw Error(Failure::usage, fmt::format("bench: there is no operator '{}'{}; `fathom bench --help` lists them", name,
                                          near ? fmt::format(" (did you mean '{}'?)", *near) : ""));
}

// Arguments are kinds of operators, or further terms of the grid.
void sort_arguments(const Request& request, std::vector<std::string>& kinds, std::vector<std::string>& terms) {
  if (const auto found = request.options.find("grid"); found != request.options.end()) terms = found->second;
  for (const auto& argument : request.arguments) (argument.find('=') == std::string::npos ? kinds : terms).push_back(argument);
  for (const auto& kind : kinds) check_kind(kind);
}

void check_covered(const std::vector<std::string>& kinds, const Task& task) {
  for (const auto& kind : kinds)
    if (std::ranges::none_of(task.records, [&](const BenchRecord& r) { return op_name(r.op) == kind; }))
      throw Error(Failure::usage, fmt::format("bench: no step of {} is a {} at these points of the grid", task.plan.model.name, kind));
}

Machine machine_of(const Scenario& scenario, const Plan& plan) {
  const auto profile = hardware_profiles::find_profile(scenario.decode.system);
  auto machine = prepare(profile, calibration_of(scenario, profile), plan);
  if (!machine.refusal.empty()) throw Error(Failure::usage, fmt::format("bench: {}: {}", profile.name, machine.refusal));
  return machine;
}

Task task_of(const Request& request) {
  std::vector<std::string> kinds, terms;
  sort_arguments(request, kinds, terms);
  const auto scenario = flags_scenario(request, {{"system", "\"h200_sxm\"", "built in"}});
  const auto model = cut_of(request, scenario.model);
  Task task{.plan = plan(model, scenario.decode.layout, scenario.decode.policy),
            .numerics = request.option("numerics", "fp8") == "fp8" ? executor::Numerics::fp8 : executor::Numerics::bf16,
            .machine = {},
            .records = {}};
  if (gpus(task.plan.layout) > 1) throw Error(Failure::usage, "bench: operators of several GPUs are not timed yet: leave the layout at one rank");
  task.machine = machine_of(scenario, task.plan);
  const auto points = grid_of(terms, model);
  task.points = std::ssize(points);
  task.records = executor::bench_records(task.plan, task.numerics, points, kinds);
  check_covered(kinds, task);
  for (const auto& record : task.records) static_cast<void>(op_time(task.machine, record.op));  // a rate that is missing is said now
  return task;
}

#ifdef FATHOM_HAVE_CUDA

hardware_profiles::Measurements about(const Task& task) {
  const auto facts = executor::cuda_facts();
  if (facts.fault) throw Error(Failure::device, fmt::format("{}: {}", facts.fault->cause, facts.fault->remedy));
  const auto driver = gpu_driver();
  const auto commit = version_commit();
  const auto today = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return {.device = facts.devices.front().name,
          .kernel_set = fmt::format("fathom {}", name_of(task.numerics)),
          .date = fmt::format("{:%Y-%m-%d}", fmt::gmtime(today)),
          .versions = {.driver = driver.empty() ? "for CUDA " + facts.driver : driver,
                       .cuda = facts.runtime,
                       .cublas_lt = facts.cublas_lt,
                       .fathom = std::string(version()) + (commit.empty() ? "" : fmt::format(" ({})", commit))},
          .all = {}};
}

BenchRow row_of(const Task& task, const BenchRecord& record, const executor::Timing& t) {
  BenchRow row{.record = record,
               .measured = {.covers = record.labels, .op = t.op, .n = t.n, .median = t.median, .p10 = t.p10, .p90 = t.p90},
               .speed = {},
               .reason = t.reason};
  if (row.reason.empty()) row.speed = speed_of(task.machine, t.op, t.median);
  return row;
}

// Rows of one label together, labels in the order of the plan.
void sort_rows(std::vector<BenchRow>& rows) {
  std::vector<std::string> labels;
  for (const auto& row : rows)
    if (std::ranges::find(labels, row.record.labels.front()) == labels.end()) labels.push_back(row.record.labels.front());
  std::ranges::stable_sort(rows, {}, [&](const BenchRow& row) { return std::ranges::find(labels, row.record.labels.front()) - labels.begin(); });
}

// All in an order that looks random, then every twentieth of them again.
BenchResult measure(const Task& task) {
  constexpr std::size_t again_each = 20;
  BenchResult result{.rows = std::vector<BenchRow>(task.records.size()), .about = about(task), .system = task.machine.profile.name, .points = task.points};
  executor::Bench bench(task.plan.model, task.numerics);
  Progress progress;
  const auto start = std::chrono::steady_clock::now();
  const auto order = executor::bench_order(task.records.size());
  double done = 0;
  const auto show = [&](const BenchRecord& r) { progress.show("timing " + r.labels.front(), done++ / (1.05 * static_cast<double>(order.size()))); };
  for (const auto i : order) {
    show(task.records[i]);
    result.rows[i] = row_of(task, task.records[i], bench.time(task.records[i]));
  }
  for (std::size_t at = 0; at < order.size(); at += again_each) {
    const auto& first = result.rows[order[at]];
    show(first.record);
    if (first.reason.empty()) result.repeated.push_back(bench.time(first.record).median.value / first.measured.median.value - 1);
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  sort_rows(result.rows);
  return result;
}

#endif

}  // namespace

Outcome run_bench(const Request& request) {
  const auto task = task_of(request);
  const auto file = request.option("output");
  if (!file.empty() && file != "-") check_writable(file);
#ifdef FATHOM_HAVE_CUDA
  if (const auto reason = executor::check_cuda(task.plan, task.numerics)) return {.data = {}, .exit = Exit::infeasible, .remarks = {"cannot run: " + *reason}};
  const auto result = measure(task);
  std::signal(SIGINT, SIG_IGN);  // what is to be written is written whole
  const auto measurements = file.empty() ? std::string() : write_measurements(measurements_of(result));
  if (file == "-") return {.data = measurements};
  if (!file.empty()) write_file(file, measurements);
  return {.data = rendered(report_of(result), request), .wrote_output = true};
#else
  throw Error(Failure::device, "bench: not built into this fathom-executor (no nvcc of CUDA 13 was found)");
#endif
}

}  // namespace fathom::cli
