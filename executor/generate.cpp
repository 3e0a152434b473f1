#include "executor/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <numeric>

#include "executor/row_map.h"
#include "executor/sampling.h"
#include "model_spec/error.h"
#include "model_spec/memory.h"

namespace fathom::executor {

using namespace model_spec;

namespace {

// A request on its way.
struct Sequence {
  std::size_t index = 0;  // of the request
  const Request* request = nullptr;
  BlockTable table;
  std::vector<std::int32_t> ids;  // prompt and what followed
  std::int64_t cached = 0;        // tokens in the cache that count
  std::vector<std::int32_t> drafts{};
  Generated result{};

  [[nodiscard]] std::int64_t prompt() const { return static_cast<std::int64_t>(request->prompt.size()); }
  [[nodiscard]] std::int64_t known() const { return static_cast<std::int64_t>(ids.size()); }
  [[nodiscard]] bool prefilling() const { return cached < prompt(); }
  [[nodiscard]] bool done() const {
    const auto made = known() - prompt();
    return made >= request->max_new_tokens || (made > 0 && request->end && ids.back() == *request->end);
  }
};

// A sequence's part of a step.
struct Work {
  Sequence* sequence = nullptr;  // null: padding
  std::int64_t cached = 0, tokens = 0;
  [[nodiscard]] Group group() const { return {1, tokens, cached}; }
};

class Rank {
 public:
  Rank(const Plan& plan, const Place& place, Backend& backend, Communicator& world, std::span<const Request> requests, const GenerateOptions& options)
      : plan_(plan), place_(place), backend_(backend), world_(world), options_(options), pool_(options.pages), results_(requests.size()) {
    for (std::size_t i = 0; i < requests.size(); ++i)
      if (static_cast<std::int64_t>(i) % plan.layout.dp == place.dp) waiting_.push_back({i, &requests[i]});
    shared_ = world.split(0, world.rank());
  }

  std::vector<Generated> run() {
    while (true) {
      admit();
      auto work = schedule();
      const auto counts = token_counts(work);
      if (std::ranges::all_of(counts, [](std::int64_t n) { return n == 0; })) return std::move(results_);
      if (work.empty()) work.push_back({nullptr, 0, 1});
      step(work, counts);
    }
  }

 private:
  struct Waiting {
    std::size_t index;
    const Request* request;
  };

  void admit() {
    while (!waiting_.empty() && static_cast<std::int64_t>(running_.size()) < options_.max_sequences) {
      const auto [index, request] = waiting_.front();
      const auto most = static_cast<std::int64_t>(request->prompt.size()) + request->max_new_tokens + plan_.policy.mtp_depth;
      if (!running_.empty() && paged(most) / page_tokens > pool_.free_pages() - promised()) return;  // waits for others to end
      running_.push_back({.index = index, .request = request, .table = BlockTable(pool_), .ids = request->prompt});
      waiting_.erase(waiting_.begin());
    }
  }

  // Pages that running sequences will still take.
  std::int64_t promised() const {
    std::int64_t pages = 0;
    for (const auto& s : running_) {
      const auto most = s.prompt() + s.request->max_new_tokens + plan_.policy.mtp_depth;
      pages += paged(most) / page_tokens - static_cast<std::int64_t>(s.table.pages().size());
    }
    return pages;
  }

  // The longest beginning that another sequence has in its cache. Less one token: what a prediction layer caches depends on the next token,
  // and the last token of a prompt must run to be followed.
  void share_prefix(Sequence& s) {
    const Sequence* best = nullptr;
    std::int64_t length = 0;
    for (const auto& other : running_) {
      if (&other == &s) continue;
      const auto most = std::min({other.cached, s.prompt(), other.known()});
      const auto same = std::mismatch(s.ids.begin(), s.ids.begin() + most, other.ids.begin()).first - s.ids.begin();
      if (same - 1 > length) best = &other, length = same - 1;
    }
    if (best) s.cached = s.result.shared_tokens = s.table.share_prefix(best->table, length);
  }

  // Decoding sequences first, then chunks of prompts as far as the budget goes. In the order that plans want.
  std::vector<Work> schedule() {
    std::vector<Work> work;
    auto budget = plan_.policy.chunked_prefill_tokens;
    for (auto& s : running_) {
      if (s.prefilling() || budget <= 0) continue;
      work.push_back({&s, s.cached, 1 + static_cast<std::int64_t>(s.drafts.size())});
      budget -= work.back().tokens;
    }
    for (auto& s : running_) {
      if (!s.prefilling() || budget <= 0) continue;
      if (s.cached == 0) share_prefix(s);
      work.push_back({&s, s.cached, std::min(budget, s.prompt() - s.cached)});
      budget -= work.back().tokens;
    }
    const auto kind = plan_.model.indexer ? Attention::mla_sparse : Attention::mla;
    std::ranges::stable_sort(
        work, {}, [&](const Work& w) { return std::tuple(path_order(choose_path(plan_.model, plan_.policy, kind, w.group())), w.tokens, w.cached); });
    return work;
  }

  // New tokens of every dp rank.
  std::vector<std::int64_t> token_counts(const std::vector<Work>& work) {
    std::int64_t mine = 0;
    for (const auto& w : work) mine += w.tokens;
    const auto ranks = static_cast<std::size_t>(world_.size());
    std::vector<std::int64_t> all(ranks), bytes(ranks, sizeof mine), result;
    shared_->all_gather(std::as_bytes(std::span(&mine, 1)), bytes, std::as_writable_bytes(std::span(all)));
    for (std::int64_t dp = 0; dp < plan_.layout.dp; ++dp) result.push_back(all[static_cast<std::size_t>(dp * plan_.layout.tp)]);
    return result;
  }

  StepInput input_of(const std::vector<Work>& work) {
    StepInput input;
    input.sampling = options_.sampling;
    input.timed = options_.timed;
    input.watched = static_cast<bool>(options_.observe);
    origins_.clear();
    for (const auto& w : work) {
      auto& groups = input.batch.groups;
      if (groups.empty() || groups.back().new_tokens != w.tokens || groups.back().cached_tokens != w.cached) groups.push_back({0, w.tokens, w.cached});
      ++groups.back().sequences;
      add_rows(input, w);
    }
    input.batch.sampled = static_cast<std::int64_t>(input.sampled.size());
    if (options_.draft_everywhere)
      for (std::size_t row = 0; row < input.next_ids.size(); ++row)
        if (input.next_ids[row] >= 0) input.drafted.push_back(static_cast<std::int32_t>(row));
    if (!input.drafted.empty()) input.batch.drafted = static_cast<std::int64_t>(input.drafted.size());
    return input;
  }

  void add_rows(StepInput& input, const Work& w) {
    auto& table = w.sequence ? w.sequence->table : idle_;
    table.reserve(w.cached + w.tokens);
    const auto pages = table.pages().first(static_cast<std::size_t>(paged(w.cached + w.tokens) / page_tokens));
    input.pages.emplace_back(pages.begin(), pages.end());
    for (auto p = w.cached; p < w.cached + w.tokens; ++p) {
      const auto row = static_cast<std::int32_t>(input.ids.size());
      input.ids.push_back(w.sequence ? token(*w.sequence, p) : 0);
      input.positions.push_back(static_cast<std::int32_t>(p));
      origins_.push_back({w.sequence ? w.sequence->index : padding, p});
      const bool known = w.sequence && p + 1 < w.sequence->prompt();
      input.next_ids.push_back(known ? token(*w.sequence, p + 1) : -1);
      const bool wanted = w.sequence && known && p >= w.sequence->prompt() - options_.logit_rows;
      if (known && !wanted) continue;
      input.sampled.push_back(row);
      input.random_streams.push_back(random_stream(w.sequence ? static_cast<std::int64_t>(w.sequence->index) : -1, p + 1));
    }
  }

  static std::int32_t token(const Sequence& s, std::int64_t position) {
    return position < s.known() ? s.ids[static_cast<std::size_t>(position)] : s.drafts[static_cast<std::size_t>(position - s.known())];
  }

  void step(const std::vector<Work>& work, const std::vector<std::int64_t>& counts) {
    auto input = input_of(work);
    for (const auto n : counts) input.batch.dp_tokens.push_back(std::max<std::int64_t>(n, 1));
    Choices choices;
    if (options_.force) {
      options_.force(input, origins_, choices);
      input.forced = &choices;
    }
    Observer observer;
    if (options_.observe) observer = [&](const Block& block, const BoundStep& s, Backend& backend) { options_.observe(input, origins_, block, s, backend); };
    auto done = execute(plan_, place_, backend_, input, bound_, observer);
    if (options_.after_step) options_.after_step(input, done);
    spread(input, done.output);
    std::int64_t row = 0;
    for (std::size_t i = 0; i < work.size(); row += work[i++].tokens)
      if (work[i].sequence) advance(work[i], input, done.output, row, i);
    running_.remove_if([&](Sequence& s) {
      if (s.done()) finish(s);
      return s.done();
    });
  }

  // From the last pipeline stage to the others.
  void spread(const StepInput& input, StepOutput& output) {
    const auto stages = plan_.layout.pp;
    if (stages == 1) return;
    output.sampled.resize(input.sampled.size());
    output.drafts.resize(plan_.policy.mtp_depth > 0 ? input.drafted.empty() ? static_cast<std::size_t>(input.batch.sequences()) : input.drafted.size() : 0);
    const auto per_stage = static_cast<int>(stage_ranks(plan_.layout));
    for (auto* ids : {&output.sampled, &output.drafts}) {
      const auto bytes = std::as_writable_bytes(std::span(*ids));
      if (place_.stage + 1 < stages) shared_->receive(static_cast<int>((stages - 1) * per_stage + place_.stage_rank), bytes);
      else
        for (std::int64_t s = 0; s + 1 < stages; ++s) shared_->send(static_cast<int>(s * per_stage + place_.stage_rank), bytes);
    }
  }

  // Takes what a step brought to the sequence whose tokens begin at `row`; index: its place among the step's sequences.
  void advance(const Work& w, const StepInput& input, const StepOutput& output, std::int64_t row, std::size_t index) {
    auto& s = *w.sequence;
    if (s.cached + w.tokens < s.prompt()) {
      s.cached += w.tokens;
      return;
    }
    const auto drafts = std::exchange(s.drafts, {});
    const auto certain = static_cast<std::int32_t>(row + w.tokens - 1 - static_cast<std::int64_t>(drafts.size()));  // the last token that is no draft
    auto from = static_cast<std::size_t>(std::ranges::lower_bound(input.sampled, certain) - input.sampled.begin());
    s.cached = s.known();
    s.result.drafted += static_cast<std::int64_t>(drafts.size());
    for (std::size_t d = 0;; ++d, ++from) {
      s.ids.push_back(next_token(s, output.sampled[from]));
      if (s.done() || d == drafts.size() || drafts[d] != s.ids.back()) break;
      ++s.cached, ++s.result.accepted;
    }
    if (plan_.policy.mtp_depth > 0 && s.request->forced.empty() && !options_.draft_everywhere) s.drafts.push_back(output.drafts[index]);
  }

  static std::int32_t next_token(const Sequence& s, std::int32_t sampled) {
    const auto made = static_cast<std::size_t>(s.known() - s.prompt());
    return made < s.request->forced.size() ? s.request->forced[made] : sampled;
  }

  void finish(Sequence& s) {
    s.result.ids.assign(s.ids.begin() + s.prompt(), s.ids.end());
    results_[s.index] = std::move(s.result);
  }

  const Plan& plan_;
  Place place_;
  Backend& backend_;
  Communicator& world_;
  const GenerateOptions& options_;
  PagePool pool_;
  BlockTable idle_{pool_};
  std::vector<Waiting> waiting_;
  std::list<Sequence> running_;
  std::vector<Generated> results_;
  std::unique_ptr<Communicator> shared_;
  std::vector<RowOrigin> origins_;
  BoundPlan bound_;
};

}  // namespace

std::int64_t pages_needed(std::span<const Request> requests, const Layout& layout, std::int64_t drafts, std::int64_t max_sequences) {
  std::vector<std::vector<std::int64_t>> pages(static_cast<std::size_t>(layout.dp));
  for (std::size_t i = 0; i < requests.size(); ++i)
    pages[i % pages.size()].push_back(paged(static_cast<std::int64_t>(requests[i].prompt.size()) + requests[i].max_new_tokens + drafts) / page_tokens);
  std::int64_t most = 0;
  for (auto& of_rank : pages) {
    std::ranges::sort(of_rank, std::greater{});
    of_rank.resize(std::min(of_rank.size(), static_cast<std::size_t>(max_sequences)));
    most = std::max(most, std::accumulate(of_rank.begin(), of_rank.end(), std::int64_t{0}));
  }
  return most + 1;  // for padding
}

std::optional<std::string> check(const ModelSpec& m, const Request& r, std::int64_t drafts, std::optional<std::int64_t> pages) {
  if (r.prompt.empty()) return "is empty";
  if (r.max_new_tokens < 1) return fmt::format("asks for {} new tokens; at least 1", r.max_new_tokens);
  for (const auto* ids : {&r.prompt, &r.forced})
    for (const auto id : *ids)
      if (id < 0 || id >= m.vocab_size) return fmt::format("token id {} is not among the {} of the vocabulary", id, m.vocab_size);
  const auto tokens = static_cast<std::int64_t>(r.prompt.size()) + r.max_new_tokens;
  if (tokens > m.max_position_embeddings)
    return fmt::format("{} tokens and {} new ones are more than the model's {} positions", r.prompt.size(), r.max_new_tokens, m.max_position_embeddings);
  if (pages && paged(tokens + drafts) / page_tokens + 1 > *pages) return fmt::format("{} tokens do not fit in {} cache pages", tokens, *pages);
  return std::nullopt;
}

std::vector<Generated> generate(const Plan& plan, const Place& place, Backend& backend, Communicator& world, std::span<const Request> requests,
                                const GenerateOptions& options) {
  return Rank(plan, place, backend, world, requests, options).run();
}

}  // namespace fathom::executor
