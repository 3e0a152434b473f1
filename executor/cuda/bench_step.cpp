#include "executor/cuda/bench_step.h"

#include <algorithm>

#include "executor/bench.h"
#include "executor/cuda/cuda_backend.h"
#include "executor/execute.h"
#include "executor/synthetic.h"
#include "model_spec/memory.h"

namespace fathom::executor {

using namespace model_spec;

namespace {

constexpr std::uint64_t seed = 1;
constexpr int warm = 3;  // the first run takes memory, the second becomes a graph
constexpr double enough_seconds = 2;
constexpr int most_runs = 30, least_runs = 5;

std::int64_t pages_of(const Group& g) { return g.sequences * paged(g.cached_tokens + g.new_tokens) / page_tokens; }

std::int32_t token_of(const ModelSpec& m, const Group& g, std::int64_t sequence, std::int64_t position) {
  return static_cast<std::int32_t>(splitmix64(static_cast<std::uint64_t>(position * g.sequences + sequence)) % static_cast<std::uint64_t>(m.vocab_size));
}

// Pages of all sequences in order; tokens that are not sampled are followed by the next.
StepInput input_of(const Plan& plan, const Group& g) {
  StepInput in;
  in.batch = bench_batch(plan.policy, g);
  const auto per_sequence = pages_of({1, g.new_tokens, g.cached_tokens}), end = g.cached_tokens + g.new_tokens;
  const auto sampled = in.batch.sampled / g.sequences;  // the last ones of each
  for (std::int64_t s = 0; s < g.sequences; ++s) {
    auto& pages = in.pages.emplace_back();
    for (std::int64_t p = 0; p < per_sequence; ++p) pages.push_back(static_cast<std::int32_t>(s * per_sequence + p));
    for (auto p = g.cached_tokens; p < end; ++p) {
      const bool gets_logits = p >= end - sampled;
      if (gets_logits) in.sampled.push_back(static_cast<std::int32_t>(in.ids.size())), in.random_streams.push_back(static_cast<std::uint64_t>(s));
      in.ids.push_back(token_of(plan.model, g, s, p));
      in.positions.push_back(static_cast<std::int32_t>(p));
      in.next_ids.push_back(gets_logits ? -1 : token_of(plan.model, g, s, p + 1));
    }
  }
  return in;
}

std::vector<double> times_of(const std::vector<Executed>& runs, double (*of)(const Executed&)) {
  std::vector<double> times;
  for (const auto& run : runs) times.push_back(of(run));
  return times;
}

// Each row's median, one after the other.
Trace median_of(std::vector<Executed>& runs) {
  auto trace = runs.back().trace;
  Seconds start;
  for (std::size_t i = 0; i < trace.steps.size(); ++i) {
    std::vector<double> times;
    for (const auto& run : runs) times.push_back(run.trace.steps[i].duration.value);
    trace.steps[i].start = start;
    start += trace.steps[i].duration = Seconds{quantiles(std::move(times)).median};
  }
  trace.total = Seconds{quantiles(times_of(runs, [](const Executed& e) { return e.output.device_seconds; })).median};
  return trace;
}

}  // namespace

StepBench::StepBench(const Plan& plan, Numerics numerics, const WeightSource& source, const LoadProgress& progress, std::span<const Group> points)
    : plan_(plan) {
  std::int64_t pages = 1;
  for (const auto& g : points) pages = std::max(pages, pages_of(g));
  backend_ = make_cuda_backend(plan, {}, numerics, source, progress, pages);
  fill_caches(*backend_, seed);
}
StepBench::~StepBench() = default;

StepTiming StepBench::time(const Group& group) {
  auto input = input_of(plan_, group);
  BoundPlan bound;
  const auto run = [&] { return execute(plan_, {}, *backend_, input, bound); };
  const auto runs = [&] {
    for (int i = 0; i < warm; ++i) run();
    std::vector<Executed> done;
    for (double seconds = 0; std::ssize(done) < least_runs || (std::ssize(done) < most_runs && seconds < enough_seconds);) {
      done.push_back(run());
      seconds += done.back().trace.total.value;
    }
    return done;
  };
  const auto plain = runs();
  const auto whole = quantiles(times_of(plain, [](const Executed& e) { return e.trace.total.value; }));
  const auto device = quantiles(times_of(plain, [](const Executed& e) { return e.output.device_seconds; }));
  input.timed = true;
  auto timed = runs();
  return {.n = std::ssize(plain),
          .median = Seconds{whole.median},
          .p10 = Seconds{whole.p10},
          .p90 = Seconds{whole.p90},
          .device = Seconds{device.median},
          .trace = median_of(timed)};
}

}  // namespace fathom::executor
