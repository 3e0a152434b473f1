#include "simulator/simulate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <new>
#include <tuple>

#include "model_spec/memory.h"
#include "tests/simulator/fixture.h"

// Every allocation of this program counts.
static std::int64_t allocations = 0;
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace fathom::simulator {
namespace {

const Layout wide{.dp = 32, .ep = 32, .redundant_experts = 32};

Trace run(const Plan& p, const Machine& machine, const Batch& batch) {
  BoundPlan bound;
  Trace trace;
  simulate(p, 0, machine, batch, bound, trace);
  return trace;
}

Plan plan_of(Overlap overlap, bool unrolled = false, const std::string& model = "deepseek-v3.2") {
  return plan(find_model(model), wide, {.overlap = overlap}, unrolled);
}

TEST(Simulate, SerialStepsFollowEachOther) {
  const auto trace = run(plan_of(Overlap::none), round_machine(wide), decode(16, 1000));
  for (const auto& block : trace.blocks)
    for (auto i = block.first + 1; i < block.first + block.count; ++i)
      EXPECT_DOUBLE_EQ(trace.steps[i].start.value, (trace.steps[i - 1].start + trace.steps[i - 1].duration).value);
  Seconds sum;
  for (const auto& block : trace.blocks) sum += block.interval * static_cast<double>(block.repeats);
  EXPECT_DOUBLE_EQ(trace.total.value, sum.value);
}

TEST(Simulate, RepeatedBlocksTakeAsLongAsTheUnrolledPlan) {
  for (const auto& source : list_models())
    for (const auto overlap : {Overlap::none, Overlap::two_batch})
      for (const auto& batch : {decode(64, 5000), prefill(4, 4096)}) {
        const auto rolled = run(plan_of(overlap, false, source.name), round_machine(wide), batch);
        const auto unrolled = run(plan_of(overlap, true, source.name), round_machine(wide), batch);
        EXPECT_NEAR(rolled.total.value / unrolled.total.value, 1, 1e-9) << source.name << " overlap " << static_cast<int>(overlap);
      }
}

// No two steps on one stream at once, and nothing starts before what it waits for.
TEST(Simulate, TwoBatchKeepsStreamsAndDependencies) {
  const auto p = plan_of(Overlap::two_batch, true);
  const auto trace = run(p, round_machine(wide), prefill(4, 4096));
  std::vector<const TracedStep*> streams[2];
  std::map<std::tuple<int, int, int>, const TracedStep*> by_id;
  for (const auto& s : trace.steps) {
    streams[s.communication].push_back(&s);
    by_id[{s.id.micro_batch, s.id.block, s.id.step}] = &s;
  }
  for (auto& stream : streams) {
    std::ranges::sort(stream, {}, [](const TracedStep* s) { return std::pair(s->start.value, (s->start + s->duration).value); });
    for (std::size_t i = 1; i < stream.size(); ++i) EXPECT_GE(stream[i]->start.value, (stream[i - 1]->start + stream[i - 1]->duration).value - 1e-12);
  }
  for (const auto& s : trace.steps)
    for (const auto earlier : p.stages[0].blocks[s.id.block].dependencies->before(s.id.step)) {
      const auto it = by_id.find({s.id.micro_batch, s.id.block, earlier});
      const auto done = it == by_id.end() ? Seconds{0} : it->second->start + it->second->duration;
      EXPECT_GE(s.start.value, done.value - 1e-12) << s.label;
    }
}

TEST(Simulate, TwoBatchHidesExchangesBetweenTheBounds) {
  const auto machine = round_machine(wide);
  const auto batch = prefill(4, 4096);
  const auto serial = run(plan_of(Overlap::none), machine, batch), overlapped = run(plan_of(Overlap::two_batch), machine, batch);
  double compute = 0, wire = 0;
  for (const auto& block : overlapped.blocks)
    for (auto i = block.first; i < block.first + block.count; ++i)
      (overlapped.steps[i].communication ? wire : compute) += 2 * overlapped.steps[i].duration.value * static_cast<double>(block.repeats);
  EXPECT_LT(overlapped.total, serial.total);
  EXPECT_GE(overlapped.total.value, std::max(compute, wire) - 1e-9);
}

TEST(Simulate, HalvesKeepTheWork) {
  EXPECT_EQ(half_batch(decode(128, 4989)).groups[0], (Group{64, 1, 4989}));
  const auto odd = half_batch(prefill(3, 4000, 500));
  EXPECT_EQ(odd.groups, (std::vector<Group>{{1, 4000, 500}, {1, 2000, 1500}}));
  EXPECT_EQ(2 * odd.tokens(), 3 * 4000);
  const auto half = half_batch(prefill(1, 4096, 1000)).groups[0];
  EXPECT_EQ(half, (Group{1, 2048, 2024}));
  // Pairs of both halves together are those of the whole.
  EXPECT_EQ(2 * dense_pairs<std::int64_t>(half.new_tokens, half.cached_tokens), dense_pairs<std::int64_t>(4096, 1000));
}

TEST(Simulate, NothingIsAllocatedOnceStorageHasGrown) {
  const auto p = plan_of(Overlap::none);
  const auto machine = round_machine(wide);
  BoundPlan bound;
  Trace trace;
  const Batch mixed{{{64, 1, 5000}, {1, 4096, 0}}, 65}, other{{{17, 2, 999}, {2, 3000, 7}}, 36};
  simulate(p, 0, machine, mixed, bound, trace);
  allocations = 0;
  bind(p, 0, other, bound);
  EXPECT_EQ(allocations, 0) << "bind";
  simulate(p, 0, machine, other, bound, trace);
  static_cast<void>(memory(p, 0, bound, 1e6));
  EXPECT_EQ(allocations, 0) << "simulate and memory";
}

}  // namespace
}  // namespace fathom::simulator
