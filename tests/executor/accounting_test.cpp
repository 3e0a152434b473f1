// What a run counts is what its plan says: bytes sent to other ranks, and the loads of experts.
#include <gmock/gmock.h>

#include <map>
#include <mutex>
#include <numeric>
#include <set>

#include "kernels/cpu/gate.h"
#include "tests/executor/ranks.h"
#include "tests/kernels/arrays.h"

namespace fathom::executor {
namespace {

struct Case {
  const char* name;
  Layout layout;
  DispatchChoice dispatch = DispatchChoice::automatic;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const Case cases[] = {{"tp2", {.tp = 2, .etp = 2}},
                      {"tp4_ep2", {.tp = 4, .etp = 2, .ep = 2}},
                      {"tp4_ep4", {.tp = 4, .ep = 4}},
                      {"ep4_normal", {.dp = 4, .ep = 4}, DispatchChoice::normal},
                      {"ep4_low_latency", {.dp = 4, .ep = 4}, DispatchChoice::low_latency},
                      {"etp4_gather", {.dp = 4, .etp = 4}},
                      {"tp2_etp4_gather", {.tp = 2, .dp = 2, .etp = 4}},
                      {"tp2_ep4_normal", {.tp = 2, .dp = 2, .ep = 4}, DispatchChoice::normal},
                      {"tp2_ep4_low_latency", {.tp = 2, .dp = 2, .ep = 4}, DispatchChoice::low_latency},
                      {"tp2_etp2_ep2_normal", {.tp = 2, .dp = 2, .etp = 2, .ep = 2}, DispatchChoice::normal},
                      {"tp2_etp2_ep2_low_latency", {.tp = 2, .dp = 2, .etp = 2, .ep = 2}, DispatchChoice::low_latency},
                      {"pp2", {.pp = 2}},
                      {"tp2_pp2", {.tp = 2, .pp = 2, .etp = 2}}};

// Five prompts of unequal lengths in chunks: dp ranks never have the same number of tokens, and some idle at the end.
RunOptions options_of(const Case& c, Numerics numerics, DType stored = DType::fp8_block) {
  RunOptions o{.model = small_model(stored),
               .layout = c.layout,
               .policy = {},
               .numerics = numerics,
               .weights = std::make_shared<SyntheticWeights>(7),
               .requests = {},
               .sampling = {},
               .pages = {},
               .force = {},
               .progress = {}};
  o.policy.dispatch = c.dispatch;
  o.policy.chunked_prefill_tokens = 40;
  o.policy.mtp_depth = 1;
  o.requests = requests_of(o.model, {{67, 3}, {21, 2}, {5, 4}, {1, 1}, {35, 6}});
  return o;
}

// A step of a plan of these numerics: its activations as they are held.
Op as_held(Op op, Numerics numerics) {
  std::visit(
      [&](auto& one) {
        if constexpr (requires { one.type; }) one.type = held(numerics, one.type);
      },
      op);
  return op;
}

// Bytes sent by the steps of a label, over all ranks.
struct Sent {
  double planned = 0, counted = 0;
};

using Ids = std::vector<std::int32_t>;  // [tokens, topk]

// One step of one rank.
struct Ran {
  Batch batch;
  Trace trace;
  std::map<std::int64_t, Ids> chosen;  // experts, by layer
  bool idle = false;
};

struct Watched {
  Plan p;
  std::vector<std::vector<Ran>> ran;  // [rank][step]
  std::map<std::string, Sent> sent;   // by label
  double counted = 0;                 // bytes sent by all ranks
};

Watched run_all(const RunOptions& o) {
  EXPECT_EQ(check(o), std::nullopt);
  Watched w{.p = plan(o.model, o.layout, o.policy, true), .ran = std::vector(static_cast<std::size_t>(gpus(o.layout)), std::vector<Ran>(1)), .sent = {}};
  std::mutex mutex;
  watch(o, w.p, [&](int rank, const CpuBackend& backend, const RankWeights&) {
    auto& steps = w.ran[static_cast<std::size_t>(rank)];
    GenerateOptions g;
    g.observe = [&, before = 0.0](const StepInput&, std::span<const RowOrigin> rows, const Block& block, const BoundStep& step, Backend& b) mutable {
      const std::string_view label = step.step->label;
      if (label == "gate") {
        const auto t = b.read("experts");
        for (std::int64_t r = 0; r < t.rows; ++r)
          for (std::int64_t i = 0; i < o.model.num_experts_per_tok; ++i)
            steps.back().chosen[block.first_layer].push_back(t.integers[static_cast<std::size_t>(r * t.columns + i)]);
      }
      steps.back().idle = rows[0].request == padding;
      const std::lock_guard lock(mutex);
      auto& sent = w.sent[std::string(label)];
      sent.planned += cost(as_held(step.op, o.numerics)).sent_bytes;
      sent.counted += b.sent_bytes() - std::exchange(before, b.sent_bytes());
    };
    g.after_step = [&, before = 0.0](const StepInput& input, const Executed& done) mutable {
      steps.back().batch = input.batch;
      steps.back().trace = done.trace;
      steps.emplace_back();
      const std::lock_guard lock(mutex);
      w.counted += backend.sent_bytes() - std::exchange(before, backend.sent_bytes());
    };
    return g;
  });
  for (auto& steps : w.ran) steps.pop_back();
  return w;
}

// Of every label, and of the traces as a whole, by the cost of what the steps say they did.
void expect_planned_bytes(const Watched& w, Numerics numerics) {
  constexpr double rounding = 1e-12;  // copies of a token are a quotient
  for (const auto& [name, sent] : w.sent) EXPECT_NEAR(sent.counted, sent.planned, rounding * sent.planned) << name;
  double traced = 0;
  for (const auto& rank : w.ran)
    for (const auto& step : rank)
      for (const auto& one : step.trace.steps) traced += cost(as_held(one.op, numerics)).sent_bytes;
  EXPECT_NEAR(w.counted, traced, rounding * traced);
}

// What the choices of a stage's tokens make of one layer on the rank at `place`.
struct Loads {
  std::vector<std::int64_t> counts;      // rows of each expert here
  std::int64_t tokens = 0, reached = 0;  // of the stage; those of them with an expert here
  double sent = 0, returned = 0;         // copies to other ranks and, of other ranks' tokens, here
  [[nodiscard]] double rows() const { return static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0})); }
};

// The ranks that copies of a token go to, once for each choice or once in all.
std::vector<std::int64_t> destinations(std::span<const std::int32_t> ids, std::int64_t local, std::int64_t etp, bool once) {
  std::vector<std::int64_t> ranks;
  for (const auto id : ids)
    for (std::int64_t i = 0; i < etp; ++i) ranks.push_back(id / local * etp + i);
  std::ranges::sort(ranks);
  if (once) ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return ranks;
}

// chosen[dp]: choices of the tokens of each dp rank.
Loads loads_of(const ModelSpec& m, const Layout& l, const Place& place, const std::vector<Ids>& chosen, bool once) {
  const auto local = local_experts(m, l), k = m.num_experts_per_tok;
  Loads loads{.counts = std::vector<std::int64_t>(static_cast<std::size_t>(local))};
  for (std::int64_t dp = 0; dp < l.dp; ++dp) {
    const auto& ids = chosen[static_cast<std::size_t>(dp)];
    const auto tokens = std::ssize(ids) / k, slice = (tokens + l.tp - 1) / l.tp;
    loads.tokens += tokens;
    for (std::int64_t t = 0; t < tokens; ++t) {
      const auto choices = std::span(ids).subspan(static_cast<std::size_t>(t * k), static_cast<std::size_t>(k));
      for (const auto id : choices) {
        if (id / local == place.ep) ++loads.counts[static_cast<std::size_t>(id % local)];
      }
      const auto ranks = destinations(choices, local, l.etp, once);
      const auto here = std::ranges::count(ranks, place.stage_rank);
      loads.reached += here > 0;
      if (dp * l.tp + t / slice == place.stage_rank) loads.sent += static_cast<double>(std::ssize(ranks) - here);
      else loads.returned += static_cast<double>(here);
    }
  }
  return loads;
}

// Copies of a token as a record has them: those to its own rank included, as if all ranks got equally many.
template <class T>
double copies(double to_others, const T& op) {
  return to_others / static_cast<double>(op.tokens) * static_cast<double>(op.ranks) / static_cast<double>(op.ranks - 1);
}

// Sets the loads that came where bind() set those expected.
struct Fill {
  const Loads& l;
  Rows rows;
  void operator()(GroupedGemm<std::int64_t>& op) const {
    op.rows = l.rows();
    op.active = static_cast<double>(std::ranges::count_if(l.counts, [](auto n) { return n > 0; }));
    op.largest = static_cast<double>(*std::ranges::max_element(l.counts));
    EXPECT_LE(op.rows, static_cast<double>(op.capacity));
  }
  void operator()(Permute<std::int64_t>& op) const { op.rows = l.rows(), op.tokens = static_cast<double>(l.reached); }
  void operator()(Unpermute<std::int64_t>& op) const { op.rows = l.rows(), op.tokens = static_cast<double>(rows == Rows::gathered ? l.tokens : l.reached); }
  void operator()(SwiGlu<std::int64_t>& op) const {
    if (rows == Rows::routed) op.rows = l.rows();
  }
  void operator()(Dispatch<std::int64_t>& op) const { op.copies = copies(l.sent, op); }
  void operator()(Combine<std::int64_t>& op) const { op.copies = copies(l.returned, op); }
  template <class T>
  void operator()(T&) const {}
};
Op with(const BoundStep& bound, const Loads& loads) {
  auto op = bound.op;
  std::visit(Fill{loads, bound.step->rows}, op);
  return op;
}

// An operator and its cost as numbers with names.
std::map<std::string, double> numbers_of(const Op& op) {
  std::map<std::string, double> numbers;
  std::visit(
      [&](const auto& one) {
        each_field(one, [&](std::string_view name, std::string_view, auto value) { numbers[std::string(name)] = static_cast<double>(value); });
      },
      op);
  const auto c = cost(op);
  for (std::size_t i = 0; i < arithmetic_count; ++i) numbers["flops of " + std::string(arithmetic_names[i].name)] = c.matrix_flops[i];
  numbers["vector flops"] = c.vector_flops, numbers["read"] = c.hbm_read_bytes, numbers["written"] = c.hbm_write_bytes;
  numbers["gathered"] = c.gathered_bytes, numbers["sent"] = c.sent_bytes;
  return numbers;
}

// Every record of the trace is the bound one with the loads that the gates' choices make; so its cost is too.
void expect_loads_of_the_routing(const Watched& w, std::size_t rank, std::size_t index) {
  const auto& l = w.p.layout;
  const auto place = place_of(l, static_cast<std::int64_t>(rank));
  const auto& step = w.ran[rank][index];
  BoundPlan bound;
  bind(w.p, static_cast<std::size_t>(place.stage), step.batch, bound);
  ASSERT_EQ(step.trace.steps.size(), bound.steps.size());
  std::map<std::int64_t, Loads> loads;
  for (const auto& [layer, own] : step.chosen) {
    std::vector<Ids> chosen;
    for (std::int64_t dp = 0; dp < l.dp; ++dp)
      chosen.push_back(w.ran[static_cast<std::size_t>(place.stage * stage_ranks(l) + dp * l.tp)][index].chosen.at(layer));
    EXPECT_EQ(own, chosen[static_cast<std::size_t>(place.dp)]) << "ranks that share tokens choose alike";
    loads[layer] = loads_of(w.p.model, l, place, chosen, bound.sizes[0].transport == Transport::normal);
  }
  for (std::size_t s = 0; s < bound.steps.size(); ++s) {
    const auto& traced = step.trace.steps[s];
    const auto expected = loads.contains(traced.id.layer) ? with(bound.steps[s], loads[traced.id.layer]) : bound.steps[s].op;
    EXPECT_EQ(numbers_of(traced.op), numbers_of(expected)) << traced.label << " of rank " << rank << " in step " << index;
  }
}

class Accounting : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Layouts, Accounting, testing::ValuesIn(cases), [](const auto& test) { return std::string(test.param.name); });

TEST_P(Accounting, BytesAndLoadsAreThePlans) {
  const auto w = run_all(options_of(GetParam(), Numerics::fp8));
  expect_planned_bytes(w, Numerics::fp8);
  EXPECT_GT(w.counted, 0);
  bool idled = false;
  for (std::size_t rank = 0; rank < w.ran.size(); ++rank)
    for (std::size_t i = 0; i < w.ran[rank].size(); ++i) {
      expect_loads_of_the_routing(w, rank, i);
      idled |= w.ran[rank][i].idle;
    }
  EXPECT_EQ(idled, GetParam().layout.dp > 1);
}

// Other numerics send what they hold: bf16 for fp8 and its scales, or fp32 for both.
TEST(AccountingOfNumerics, BytesAreThoseOfTheTypesHeld) {
  const std::set<std::string> some{"ep4_normal", "tp2_etp2_ep2_low_latency", "tp2_etp4_gather"};
  for (const auto& c : cases) {
    if (!some.contains(c.name)) continue;
    SCOPED_TRACE(c.name);
    for (const auto numerics : {Numerics::bf16, Numerics::exact}) {
      auto o = options_of(c, numerics);
      o.requests.resize(2);
      expect_planned_bytes(run_all(o), numerics);
    }
  }
}

// A model stored in bf16: float32 doubles all that travels but what was fp32 or int32 before.
TEST(AccountingOfNumerics, ExactSendsTwiceTheBytesOfBf16) {
  auto o = options_of({"", {.tp = 2, .etp = 2}}, Numerics::bf16, DType::bf16);
  o.requests.resize(2);
  o.policy.mtp_depth = 0;  // which drafts are accepted would depend on the numerics
  const auto bf16 = run_all(o);
  o.numerics = Numerics::exact;
  const auto exact = run_all(o);
  for (const auto& [name, sent] : bf16.sent) EXPECT_EQ(exact.sent.at(name).counted, sent.counted * (name == "logits_all_gather" ? 1 : 2)) << name;
  EXPECT_GT(bf16.sent.at("logits_all_gather").counted, 0);
}

TEST(AccountingOfNumerics, OneRankSendsNothing) {
  auto o = options_of({"", {}}, Numerics::fp8);
  o.requests.resize(1);
  EXPECT_EQ(run_all(o).counted, 0);
}

// ---- the simulator's expectation

// Of so many runs, a number.
struct Sample {
  std::vector<double> values;
  [[nodiscard]] double mean() const { return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size()); }
  [[nodiscard]] double deviation() const {
    double squares = 0;
    for (const auto v : values) squares += (v - mean()) * (v - mean());
    return std::sqrt(squares / static_cast<double>(values.size() - 1));
  }
  [[nodiscard]] double error() const { return deviation() / std::sqrt(static_cast<double>(values.size())); }  // of the mean
};

// Rows of the busiest rank and of its busiest expert, and the experts of a rank that get any, over seeds.
struct Came {
  Sample rows, active, largest;
};

// Rows of each expert if `tokens` tokens with random logits go through the gate.
std::vector<std::int64_t> rows_by_expert(const ModelSpec& m, std::int64_t tokens, std::uint64_t seed) {
  using kernels::cpu::Array;
  const Gate<std::int64_t> op{.tokens = tokens, .experts = m.n_routed_experts, .groups = m.n_group, .topk_group = m.topk_group, .topk = m.num_experts_per_tok};
  Array logits(DType::fp32, tokens, op.experts), bias(DType::fp32, 1, op.experts), ids(DType::int32, tokens, op.topk), weights(DType::fp32, tokens, op.topk);
  const Uniform u("router", seed);
  for (std::int64_t i = 0; i < tokens * op.experts; ++i) logits.set(i / op.experts, i % op.experts, 3 * u(static_cast<std::uint64_t>(i)));
  kernels::cpu::gate<float>(op, 1.0f, logits, bias, ids, weights);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(op.experts));
  for (std::int64_t i = 0; i < tokens * op.topk; ++i) ++rows[static_cast<std::size_t>(ids.integer(i / op.topk, i % op.topk))];
  return rows;
}

Came came(const std::vector<std::vector<std::int64_t>>& seeds, std::int64_t ranks) {
  Came result;
  for (const auto& rows : seeds) {
    const auto local = rows.size() / static_cast<std::size_t>(ranks);
    std::span<const std::int64_t> busiest;
    double most = -1, active = 0;
    for (std::size_t first = 0; first < rows.size(); first += local) {
      const auto here = std::span(rows).subspan(first, local);
      const auto sum = static_cast<double>(std::accumulate(here.begin(), here.end(), std::int64_t{0}));
      if (sum > most) most = sum, busiest = here;
      active += static_cast<double>(std::ranges::count_if(here, [](auto n) { return n > 0; })) / static_cast<double>(ranks);
    }
    result.rows.values.push_back(most);
    result.active.values.push_back(active);
    result.largest.values.push_back(static_cast<double>(*std::ranges::max_element(busiest)));
  }
  return result;
}

constexpr int seeds = 40;

class ExpectedLoad : public testing::TestWithParam<std::tuple<bool, std::int64_t>> {};
INSTANTIATE_TEST_SUITE_P(Routing, ExpectedLoad, testing::Combine(testing::Bool(), testing::Values(64, 128, 256, 512)),
                         [](const auto& test) { return (std::get<0>(test.param) ? "groups_" : "free_") + std::to_string(std::get<1>(test.param)); });

// V3.2's own router, its choice limited to 4 of 8 groups or not, on so many tokens of all ranks.
TEST_P(ExpectedLoad, IsWhatUniformRoutingBrings) {
  const auto [limited, tokens] = GetParam();
  auto m = find_model("deepseek-v3.2");
  if (!limited) m.n_group = m.topk_group = 1;
  std::vector<std::vector<std::int64_t>> rows;
  for (int seed = 0; seed < seeds; ++seed) rows.push_back(rows_by_expert(m, tokens, static_cast<std::uint64_t>(seed)));
  for (const std::int64_t ranks : {8, 32}) {
    SCOPED_TRACE(ranks);
    const Layout l{.dp = ranks, .ep = ranks};
    const auto constants = routing_constants(m, l);
    const auto expected = expected_load(m, l, constants, tokens);
    const auto got = came(rows, ranks);
    // Few rows a rank are skewed, which a normal law misses (4 % at 16 of them): within the deviation of single runs.
    const bool many = tokens * m.num_experts_per_tok / ranks >= 32;
    EXPECT_NEAR(expected.rows, got.rows.mean(), many ? 3 * got.rows.error() : got.rows.deviation());
    // Experts without a row are rare events, with the deviation of Poisson's law.
    const auto without = static_cast<double>(local_experts(m, l)) - expected.active;
    EXPECT_NEAR(expected.active, got.active.mean(), 3 * std::sqrt(without / static_cast<double>(ranks * seeds)));
    // At a few rows an expert their law has a long tail, which a normal law misses (11 % of the busiest expert's at 64 tokens, 4 % at 512):
    // within the deviation of single runs.
    EXPECT_NEAR(expected.largest, got.largest.mean(), got.largest.deviation());
    RecordProperty("largest_short_percent_ep" + std::to_string(ranks), std::to_string(100 * (1 - expected.largest / got.largest.mean())));
  }
}

}  // namespace
}  // namespace fathom::executor
