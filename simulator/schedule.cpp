#include "simulator/schedule.h"

#include <algorithm>

namespace fathom::simulator {
namespace {

constexpr std::size_t most_steps = 256;   // of a block: far more than any has
constexpr std::int64_t warm_repeats = 8;  // after so many repeats of a block its interval is steady

// One micro-batch on its way through the blocks.
struct Chain {
  std::size_t block = 0, next = 0;  // next: step of the block in program order, bound or not
  std::uint32_t bound = 0;          // bound step to come, from the block's first
  std::int64_t repeat = 0;
  Seconds ready{};                         // when the repeat before it was done
  Seconds latest{};                        // latest end in this repeat
  std::array<Seconds, most_steps> ends{};  // of the steps of this repeat
  bool finished = false;
};

class TwoBatch {
 public:
  TwoBatch(const BoundPlan& bound, Trace& trace) : bound_(bound), trace_(trace), durations_(trace.steps.size()) {
    for (std::size_t i = 0; i < durations_.size(); ++i) durations_[i] = trace.steps[i].duration;
    trace.steps.resize(2 * durations_.size());
    std::copy_n(trace.steps.begin(), durations_.size(), trace.steps.begin() + static_cast<std::ptrdiff_t>(durations_.size()));
    ends_.resize(bound.blocks.size());
  }

  void run() {
    for (auto& chain : chains_) skip_to_bound(chain);
    while (!chains_[0].finished || !chains_[1].finished) {
      const auto a = start_of(chains_[0]), b = start_of(chains_[1]);
      // Who can start first does; of two that could start together, the one that ran last: it keeps going until it waits for an exchange,
      // under which the other then runs.
      const bool second = b < a || (b == a && last_ == 1);
      last_ = second ? 1 : 0;
      advance(second ? 1 : 0, second ? b : a);
    }
    conclude();
  }

 private:
  [[nodiscard]] const Block& block(const Chain& c) const { return *bound_.blocks[c.block].block; }
  [[nodiscard]] const BoundStep& step(const Chain& c) const { return bound_.steps[bound_.blocks[c.block].first + c.bound]; }
  Seconds& free_at(const BoundStep& s) { return streams_[static_cast<std::size_t>(s.step->stream)]; }

  Seconds dependencies_done(const Chain& c, std::size_t index) const {
    Seconds done = c.ready;
    for (const auto earlier : block(c).dependencies->before(index)) done = std::max(done, c.ends[earlier]);
    return done;
  }
  Seconds start_of(const Chain& c) {
    if (c.finished) return Seconds{1e300};
    return std::max(dependencies_done(c, step(c).index), free_at(step(c)));
  }

  // Steps that this batch does not run end when what they wait for ends, so that what waits for them still waits for that.
  void skip_to_bound(Chain& c) {
    while (true) {
      const auto& range = bound_.blocks[c.block];
      const std::size_t stop = c.bound < range.count ? step(c).index : block(c).steps.size();
      for (; c.next < stop; ++c.next) c.ends[c.next] = dependencies_done(c, c.next);
      if (c.bound < range.count || !enter_next(c)) return;
    }
  }
  bool enter_next(Chain& c) {
    c.ready = std::max(c.ready, c.latest);
    auto& ends = ends_[c.block];
    if (ends.size() <= static_cast<std::size_t>(c.repeat)) ends.resize(static_cast<std::size_t>(c.repeat) + 1);
    ends[static_cast<std::size_t>(c.repeat)] = std::max(ends[static_cast<std::size_t>(c.repeat)], c.ready);
    c.next = c.bound = 0;
    if (++c.repeat >= std::min(block(c).repeats, warm_repeats)) {
      c.repeat = 0;
      if (++c.block == bound_.blocks.size()) return !(c.finished = true);
    }
    return true;
  }

  void advance(std::size_t which, Seconds start) {
    auto& c = chains_[which];
    const auto row = bound_.blocks[c.block].first + c.bound;
    const auto& s = step(c);
    const auto end = start + durations_[row];
    free_at(s) = end;
    c.ends[s.index] = std::max(s.group > 0 ? c.ends[s.index] : Seconds{0}, end);  // a step that runs per group ends with its last
    c.latest = std::max(c.latest, end);
    if (c.repeat == 0) place(row + which * durations_.size(), which, start);
    ++c.bound;
    const bool more_groups = c.bound < bound_.blocks[c.block].count && step(c).index == s.index;
    if (!more_groups) c.next = s.index + 1U;
    skip_to_bound(c);
  }
  void place(std::size_t row, std::size_t which, Seconds start) {
    trace_.steps[row].start = start;
    trace_.steps[row].id.micro_batch = static_cast<std::uint16_t>(which);
  }

  // What was not unrolled is laid in between: later rows move by the repeats left out before them.
  void conclude() {
    Seconds left_out, last;
    const auto rows = static_cast<std::uint32_t>(durations_.size());
    for (std::size_t b = 0; b < bound_.blocks.size(); ++b) {
      const auto& range = bound_.blocks[b];
      const auto& ends = ends_[b];
      const auto n = ends.size();
      // The first repeats and the last overlap their neighbours: the steady interval is the one before the last.
      const auto interval = n > 2 ? ends[n - 2] - ends[n - 3] : (ends[n - 1] - last) / static_cast<double>(n);
      for (const auto first : {range.first, range.first + rows})
        for (auto i = first; i < first + range.count; ++i) trace_.steps[i].start += left_out;
      trace_.blocks.push_back({range.block->name, range.first, range.count, range.block->first_layer, range.block->repeats, last + left_out, interval});
      last = ends.back();
      left_out += static_cast<double>(range.block->repeats - static_cast<std::int64_t>(n)) * interval;
    }
    trace_.total = last + left_out;
  }

  const BoundPlan& bound_;
  Trace& trace_;
  std::vector<Seconds> durations_;
  std::array<Chain, 2> chains_;
  std::array<Seconds, 2> streams_{};
  std::size_t last_ = 0;
  std::vector<std::vector<Seconds>> ends_;  // [block][repeat]: when both micro-batches were through
};

}  // namespace

void schedule_serial(const BoundPlan& bound, Trace& trace) {
  Seconds now;
  for (const auto& range : bound.blocks) {
    const auto start = now;
    for (std::uint32_t i = range.first; i < range.first + range.count; ++i) {
      trace.steps[i].start = now;
      now += trace.steps[i].duration;
    }
    const auto interval = now - start;
    trace.blocks.push_back({range.block->name, range.first, range.count, range.block->first_layer, range.block->repeats, start, interval});
    now = start + interval * static_cast<double>(range.block->repeats);
  }
  trace.total = now;
}

void schedule_two_batch(const BoundPlan& bound, Trace& trace) { TwoBatch(bound, trace).run(); }

}  // namespace fathom::simulator
