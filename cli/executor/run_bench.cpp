// fathom bench: everything that can be refused is refused before the GPU is looked for; the file is written when all is done.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "cli/executor/bench_report.h"
#include "cli/executor/bench_task.h"
#include "cli/executor/progress.h"
#include "cli/executor/verbs.h"
#include "cli/output.h"

#ifdef FATHOM_HAVE_CUDA
#include "executor/cuda/bench.h"
#include "executor/cuda/cuda_backend.h"
#endif

namespace fathom::cli {
namespace {

using executor::BenchRecord;

struct Task : BenchTask {
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

void check_covered(const std::vector<std::string>& kinds, const Task& task) {
  for (const auto& kind : kinds)
    if (std::ranges::none_of(task.records, [&](const BenchRecord& r) { return op_name(r.op) == kind; }))
      throw Error(Failure::usage, fmt::format("bench: no step of {} is a {} at these points of the grid", task.plan.model.name, kind));
}

Task task_of(const Request& request) {
  const auto arguments = bench_arguments(request);
  for (const auto& kind : arguments.words) check_kind(kind);
  Task task{bench_task(request, arguments.terms, false), {}};
  task.records = executor::bench_records(task.plan, task.numerics, task.points, arguments.words);
  check_covered(arguments.words, task);
  for (const auto& record : task.records) static_cast<void>(op_time(task.machine, record.op));  // a rate that is missing is said now
  return task;
}

#ifdef FATHOM_HAVE_CUDA

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
  BenchResult result{.rows = std::vector<BenchRow>(task.records.size()),
                     .about = measured_here(task.numerics),
                     .system = task.machine.profile.name,
                     .points = std::ssize(task.points)};
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
  if (const auto words = bench_arguments(request).words; !words.empty() && words.front() == "step") return run_bench_step(request);
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
  return {.data = measured_here(task.numerics).device};
#endif
}

}  // namespace fathom::cli
