// fathom bench step: whole steps at the points of a grid, measured beside the sum of their operators' floors and the simulator's prediction.
#include <fmt/format.h>

#include <algorithm>

#include "cli/executor/bench_report.h"
#include "cli/executor/bench_task.h"
#include "cli/executor/progress.h"
#include "cli/executor/run_report.h"
#include "cli/executor/verbs.h"
#include "cli/output.h"
#include "executor/synthetic.h"
#include "simulator/op_time.h"

#ifdef FATHOM_HAVE_CUDA
#include "executor/cuda/bench_step.h"
#include "executor/cuda/cuda_backend.h"
#endif

namespace fathom::cli {
namespace {

#ifdef FATHOM_HAVE_CUDA

constexpr std::uint64_t seed = 7;  // of the weights

struct StepRow {
  Group group;
  executor::StepTiming measured;
  Trace predicted;
  Comparison by_operator;  // of the timed graph
  Seconds floor;           // of all operators
};

Table steps_table(const std::vector<StepRow>& rows) {
  Table t{.key = "steps",
          .title = {},
          .form = Form::rows,
          .fields = {{"sequences", "sequences", Kind::count},
                     {"new_tokens", "new", Kind::count},
                     {"cached_tokens", "cached", Kind::count},
                     {"n", "", Kind::count, true},
                     {"median_ms", "ms", Kind::real},
                     {"p10_ms", "", Kind::real, true},
                     {"p90_ms", "", Kind::real, true},
                     {"device_ms", "GPU, ms", Kind::real},
                     {"floor_ms", "floors", Kind::real},
                     {"floor_percent", "% of floors", Kind::percent},
                     {"predicted_ms", "predicted", Kind::real},
                     {"ratio", "ratio", Kind::real}},
          .records = {}};
  for (const auto& r : rows) {
    const auto& m = r.measured;
    t.records.push_back(
        {"",
         {r.group.sequences, r.group.new_tokens, r.group.cached_tokens, m.n, m.median.value * 1e3, m.p10.value * 1e3, m.p90.value * 1e3, m.device.value * 1e3,
          r.floor.value * 1e3, 100 * r.floor.value / m.median.value, r.predicted.total.value * 1e3, m.median.value / r.predicted.total.value}});
  }
  return t;
}

std::string name_of(const Group& g) { return fmt::format("{} x {} after {}", g.sequences, g.new_tokens, g.cached_tokens); }

// The same steps as the simulator prices them, with the loads of experts that came.
Trace priced(const BenchTask& task, Trace trace) {
  trace.total = {};
  for (auto& step : trace.steps) {
    const bool launched = task.plan.stages[0].blocks[step.id.block].steps[step.id.step].launched;
    trace.total += step.duration = step.predicted.emplace(op_time(task.machine, step.op, launched)).total;
  }
  return trace;
}

StepRow row_of(const BenchTask& task, const Group& group, executor::StepBench& bench) {
  StepRow row{.group = group, .measured = bench.time(group), .predicted = {}, .by_operator = {}, .floor = {}};
  row.predicted = priced(task, row.measured.trace);
  for (const auto& step : row.predicted.steps) row.floor += step.predicted->floor;
  row.by_operator = compare(std::span(&row.measured.trace, 1), std::span(&row.predicted, 1));
  return row;
}

Report report_of(const BenchTask& task, const hardware_profiles::Measurements& about, const std::vector<StepRow>& rows, bool detail) {
  const auto all = steps_table(rows);
  Report report{
      .answer = fmt::format("timed steps of {}, {} layers, {} routed experts, on {}", task.plan.model.name, num_hidden_layers(task.plan.model),
                            task.plan.model.n_routed_experts, about.device),
      .tables = {all, device_table(about, task.machine.profile.name)},
      .notes = {"ms: median on the host's clock, from sending the inputs to the sampled ids; GPU: of the CUDA graph alone",
                fmt::format("floors: of all operators, at the peaks of {}; predicted: by `fathom estimate`'s rules; both for the loads of experts that came; "
                            "ratio: measured to predicted",
                            task.machine.profile.name)},
      .csv = all};
  if (!detail) return report;
  for (const auto& r : rows) report.tables.push_back(compared_table({name_of(r.group), r.by_operator}));
  report.notes.emplace_back(
      "by operator: from a graph with an event between all operators, which takes part of the time; operators that share a kernel "
      "show their time where it is launched");
  return report;
}

#endif

}  // namespace

Outcome run_bench_step(const Request& request) {
  const auto arguments = bench_arguments(request);
  if (arguments.words.size() > 1) throw Error(Failure::usage, fmt::format("bench step: a whole step, without {}", arguments.words[1]));
  const auto task = bench_task(request, arguments.terms, true);
  if (request.has("output")) throw Error(Failure::usage, "bench step: -o: only operators are measurements; --format json has the steps");
  const auto about = measured_here(task.numerics);
#ifdef FATHOM_HAVE_CUDA
  if (const auto reason = executor::check_cuda(task.plan, task.numerics)) return {.data = {}, .exit = Exit::infeasible, .remarks = {"cannot run: " + *reason}};
  Progress progress;
  const auto loading = [&](double done, double all) { progress.show("weights", all > 0 ? done / all : 1); };
  executor::StepBench bench(task.plan, task.numerics, executor::SyntheticWeights(seed, task.plan.model.storage.embedding), loading, task.points);
  std::vector<StepRow> rows;
  for (const auto& group : task.points) {
    progress.show("timing " + name_of(group), static_cast<double>(rows.size()) / static_cast<double>(task.points.size()));
    rows.push_back(row_of(task, group, bench));
  }
  return {.data = rendered(report_of(task, about, rows, request.has("detail")), request)};
#else
  return {.data = about.device};
#endif
}

}  // namespace fathom::cli
