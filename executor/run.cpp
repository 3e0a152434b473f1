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

// The ranks share the threads that the caller may use; `run` is one rank's work, on a thread of its own or the caller's.
int threads_of_caller() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}
void use_threads([[maybe_unused]] int threads) {
#ifdef _OPENMP
  omp_set_num_threads(std::max(1, threads));
#endif
}

void refuse_bad_requests(const RunOptions& o) {
  for (std::size_t i = 0; i < o.requests.size(); ++i)
    if (const auto reason = check(o.model, o.requests[i], o.policy.mtp_depth, o.pages))
      throw Error(Failure::usage, fmt::format("prompt {}: {}", i + 1, *reason));
}

class Run {
 public:
  explicit Run(const RunOptions& options) : options_(options), plan_(plan(options.model, options.layout, options.policy, true)), ranks_(gpus(options.layout)) {
    const auto prompt = static_cast<std::int64_t>(options.requests[0].prompt.size());
    if (options.dump) recorder_.emplace(plan_, prompt, options.dump_rows);
    if (options.force) forcing_ = Forcing::read(*options.force, options.model, prompt, options.policy.mtp_normed_hidden);
    if (forcing_) requests_[0].forced = forcing_->decode_ids();
    for (const auto& r : requests_) total_tokens_ += static_cast<double>(r.prompt.size()) + static_cast<double>(r.max_new_tokens);
    result_.requests.resize(requests_.size());
  }

  RunResult take() {
    const int threads = threads_of_caller();
    run_ranks(static_cast<int>(ranks_), [&](Communicator& world) {
      use_threads(threads / static_cast<int>(ranks_));
      rank(world);
    });
    use_threads(threads);
    if (recorder_) result_.dump = recorder_->tensors(requests_[0], result_.requests[0]);
    return std::move(result_);
  }

 private:
  void rank(Communicator& world) {
    const auto place = place_of(options_.layout, world.rank());
    const auto start = Clock::now();
    const auto pages = options_.pages.value_or(pages_needed(requests_, options_.layout, options_.policy.mtp_depth, options_.max_sequences));
    auto backend_memory = make_backend(place, pages, world);
    auto& backend = *backend_memory;
    world.barrier();
    const auto loaded = Clock::now();
    auto generated = generate(plan_, place, backend, world, requests_, options_of(place, pages, backend));
    const std::lock_guard lock(mutex_);
    result_.weight_bytes = std::max(result_.weight_bytes, backend.weight_bytes());
    result_.load_seconds = std::chrono::duration<double>(loaded - start).count();
    result_.run_seconds = since(loaded);
    if (place.tp != 0 || place.stage != 0) return;
    for (std::size_t i = 0; i < generated.size(); ++i)
      if (static_cast<std::int64_t>(i) % options_.layout.dp == place.dp) result_.requests[i] = std::move(generated[i]);
  }

  std::unique_ptr<Backend> make_backend(const Place& place, std::int64_t pages, Communicator& world) {
    const auto progress = [&](double done, double all) {
      if (world.rank() == 0) report("weights", all > 0 ? done / all : 1);
    };
    try {
      return options_.backend(plan_, place, options_.numerics, *options_.weights, progress, pages, world);
    } catch (const std::bad_alloc&) {
      throw Error(Failure::device, fmt::format("not enough memory for the weights and {} cache pages of {} tokens on each rank", pages, page_tokens));
    }
  }

  GenerateOptions options_of(const Place& place, std::int64_t pages, Backend& backend) {
    GenerateOptions o{.sampling = options_.sampling,
                      .pages = pages,
                      .max_sequences = options_.max_sequences,
                      .timed = options_.traces,
                      .force = {},
                      .observe = {},
                      .after_step = {}};
    if (recorder_) {
      const auto prompt = static_cast<std::int64_t>(requests_[0].prompt.size());
      o.logit_rows = options_.dump_rows > 0 ? options_.dump_rows : prompt;
      o.draft_everywhere = options_.policy.mtp_depth > 0;
      o.observe = [this, place](const StepInput& input, std::span<const RowOrigin> rows, const Block& block, const BoundStep& step, Backend& b) {
        recorder_->observe(place, input, rows, block, step, b);
      };
    }
    if (forcing_ && place.dp == 0) o.force = [this](const StepInput&, std::span<const RowOrigin> rows, Choices& choices) { forcing_->choose(rows, choices); };
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
    if (options_.traces) {
      step.stages.resize(static_cast<std::size_t>(options_.layout.pp));
      step.stages[static_cast<std::size_t>(place.stage)] = done.trace;
    }
    step.time = std::max(step.time, done.trace.total);
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

std::optional<std::string> check(const ModelSpec& m, const Layout& layout, const Policy& policy, Numerics numerics) {
  for (const auto& problem : model_spec::check(m)) return problem.key + ": " + problem.message;
  if (const auto reason = model_spec::check(m, layout)) return reason;
  if (const auto reason = model_spec::check(m, policy)) return reason;
  if (policy.chunked_prefill_tokens < 1) return fmt::format("chunked_prefill_tokens is {}; at least 1", policy.chunked_prefill_tokens);
  if (layout.redundant_experts > 0) return "the executor places each expert once: redundant_experts must be 0";
  if (policy.mtp_depth > 1) return fmt::format("the executor drafts one token a step, not {}", policy.mtp_depth);
  if (m.indexer && numerics == Numerics::fp8 && (m.indexer->index_head_dim & (m.indexer->index_head_dim - 1)) != 0)
    return fmt::format("fp8 rotates index keys by a Hadamard matrix: index_head_dim {} is not a power of two", m.indexer->index_head_dim);
  return std::nullopt;
}

std::optional<std::string> check(const RunOptions& o) {
  if (const auto reason = check(o.model, o.layout, o.policy, o.numerics)) return reason;
  if (o.requests.empty()) return "there is no prompt";
  if (o.max_sequences < 1) return fmt::format("max_sequences is {}; at least 1", o.max_sequences);
  return std::nullopt;
}

std::unique_ptr<Backend> make_cpu_backend(const Plan& plan, const Place& place, Numerics numerics, const WeightSource& source, const LoadProgress& progress,
                                          std::int64_t pages, Communicator& world) {
  return std::make_unique<CpuBackend>(plan, place, numerics, RankWeights(plan, place, numerics, source, progress), pages, world);
}

RunResult run(const RunOptions& options) {
  refuse_bad_requests(options);
  return Run(options).take();
}

}  // namespace fathom::executor
