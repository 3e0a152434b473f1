#include "executor/run.h"

#include <fmt/format.h>

#include <chrono>
#include <mutex>

#include "executor/cpu_backend.h"
#include "executor/record.h"
#include "executor/threads.h"
#include "model_spec/error.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace fathom::executor {

using namespace model_spec;

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Ranks share the cores of the machine between them.
void share_cores([[maybe_unused]] int ranks) {
#ifdef _OPENMP
  omp_set_num_threads(std::max(1, omp_get_num_procs() / ranks));
#endif
}

class Run {
 public:
  explicit Run(const RunOptions& options) : options_(options), plan_(plan(options.model, options.layout, options.policy, true)), ranks_(gpus(options.layout)) {
    const auto prompt = options.requests.empty() ? 0 : static_cast<std::int64_t>(options.requests[0].prompt.size());
    if (options.dump) recorder_.emplace(plan_, prompt, options.dump_rows);
    if (options.force) forcing_ = Forcing::read(*options.force, options.model, prompt, options.policy.mtp_normed_hidden);
    if (forcing_ && !requests_.empty()) requests_[0].forced = forcing_->decode_ids();
    for (const auto& r : requests_) total_tokens_ += static_cast<double>(r.prompt.size()) + static_cast<double>(r.max_new_tokens);
    result_.requests.resize(requests_.size());
  }

  RunResult take() {
    run_ranks(static_cast<int>(ranks_), [&](Communicator& world) { rank(world); });
    if (recorder_) result_.dump = recorder_->tensors(requests_[0], result_.requests[0]);
    return std::move(result_);
  }

 private:
  void rank(Communicator& world) {
    share_cores(static_cast<int>(ranks_));
    const auto place = place_of(options_.layout, world.rank());
    const auto start = Clock::now();
    const RankWeights weights(plan_, place, options_.numerics, *options_.weights, [&](double done, double all) {
      if (world.rank() == 0) report("weights", all > 0 ? done / all : 1);
    });
    const auto pages = options_.pages.value_or(pages_needed(requests_, options_.layout, options_.policy.mtp_depth));
    CpuBackend backend(plan_, place, options_.numerics, weights, pages, world);
    world.barrier();
    const auto loaded = Clock::now();
    auto generated = generate(plan_, place, backend, world, requests_, options_of(place, pages, backend));
    const std::lock_guard lock(mutex_);
    result_.weight_bytes = std::max(result_.weight_bytes, weights.bytes());
    result_.load_seconds = std::chrono::duration<double>(loaded - start).count();
    result_.run_seconds = since(loaded);
    if (place.tp != 0 || place.stage != 0) return;
    for (std::size_t i = 0; i < generated.size(); ++i)
      if (static_cast<std::int64_t>(i) % options_.layout.dp == place.dp) result_.requests[i] = std::move(generated[i]);
  }

  GenerateOptions options_of(const Place& place, std::int64_t pages, CpuBackend& backend) {
    GenerateOptions o{.sampling = options_.sampling, .pages = pages, .max_sequences = options_.max_sequences, .force = {}, .observe = {}, .after_step = {}};
    if (recorder_) {
      const auto prompt = static_cast<std::int64_t>(requests_[0].prompt.size());
      o.logit_rows = options_.dump_rows > 0 ? options_.dump_rows : prompt;
      o.draft_everywhere = options_.policy.mtp_depth > 0;
      o.observe = [this, place](const StepInput& input, std::span<const RowOrigin> rows, const Block& block, const BoundStep& step, Backend& b) {
        recorder_->observe(place, input, rows, block, step, b);
      };
    }
    if (forcing_) o.force = [this](const StepInput&, std::span<const RowOrigin> rows, Choices& choices) { forcing_->choose(rows, choices); };
    if (place.dp == 0 && place.tp == 0)
      o.after_step = [this, place, &backend, index = std::size_t{0}, sent = 0.0](const StepInput& input, const Executed& done) mutable {
        note(place, index++, input, done, backend.sent_bytes() - sent);
        sent = backend.sent_bytes();
      };
    return o;
  }

  void note(const Place& place, std::size_t index, const StepInput& input, const Executed& done, double sent) {
    const std::lock_guard lock(mutex_);
    if (result_.steps.size() <= index) result_.steps.resize(index + 1);
    auto& step = result_.steps[index];
    step.stages.resize(static_cast<std::size_t>(options_.layout.pp));
    step.stages[static_cast<std::size_t>(place.stage)] = done.trace;
    if (place.stage != 0) return;
    step.batch = input.batch;
    step.sent_bytes = sent;
    done_tokens_ += static_cast<double>(input.batch.all_tokens(options_.layout.dp));
    if (options_.progress) options_.progress("tokens", std::min(1.0, done_tokens_ / std::max(total_tokens_, 1.0)));
  }

  void report(const std::string& what, double done) {
    const std::lock_guard lock(mutex_);
    if (options_.progress) options_.progress(what, done);
  }

  const RunOptions& options_;
  Plan plan_;
  std::int64_t ranks_;
  std::vector<Request> requests_ = options_.requests;
  std::optional<Recorder> recorder_;
  std::optional<Forcing> forcing_;
  std::mutex mutex_;
  RunResult result_;
  double total_tokens_ = 0, done_tokens_ = 0;
};

}  // namespace

std::optional<std::string> check(const RunOptions& o) {
  const auto& m = o.model;
  for (const auto& problem : model_spec::check(m)) return problem.key + ": " + problem.message;
  if (const auto reason = model_spec::check(m, o.layout)) return reason;
  if (const auto reason = model_spec::check(m, o.policy)) return reason;
  if (o.layout.redundant_experts > 0) return "the executor places each expert once: redundant_experts must be 0";
  if (o.policy.mtp_depth > 1) return fmt::format("the executor drafts one token a step, not {}", o.policy.mtp_depth);
  if (m.indexer && o.numerics == Numerics::fp8 && (m.indexer->index_head_dim & (m.indexer->index_head_dim - 1)) != 0)
    return fmt::format("fp8 rotates index keys by a Hadamard matrix: index_head_dim {} is not a power of two", m.indexer->index_head_dim);
  return std::nullopt;
}

RunResult run(const RunOptions& options) { return Run(options).take(); }

}  // namespace fathom::executor
