// What must hold without a reference: the same requests give the same logits however a run cuts, batches, caches and spreads them.
#include <numeric>

#include "executor/cpu_backend.h"
#include "executor/row_map.h"
#include "executor/threads.h"
#include "model_spec/error.h"
#include "model_spec/memory.h"
#include "tests/executor/fixture.h"

namespace fathom::executor {
namespace {

// Sums in another order: float32 noise through four layers, of the largest magnitude (measured: up to 6e-7 over layouts and chunks).
constexpr double noise = 1e-5;

// V3.2's structure in small: indexer, top-k 16, a dense layer, group-limited routing; 8 heads and sizes that divide by 4. `topk` keys.
ModelSpec small_model(std::int64_t topk = 16) {
  auto m = find_model("tests/fixtures/v32-fp32");
  m.num_attention_heads = 8;
  m.indexer->index_topk = topk;
  m.num_nextn_predict_layers = 1;
  return m;
}

RunOptions small_run(std::vector<Request> requests, std::int64_t topk = 16) {
  RunOptions o{.model = small_model(topk),
               .layout = {},
               .policy = {},
               .weights = {},
               .requests = std::move(requests),
               .sampling = {},
               .pages = {},
               .force = {},
               .progress = {}};
  o.weights = std::make_shared<SyntheticWeights>(7, DType::fp32);
  o.dump = true;
  return o;
}

Request request(std::uint64_t seed, std::int64_t tokens, std::int64_t new_tokens = 1) {
  return {.prompt = random_prompt(tokens, 256, seed), .max_new_tokens = new_tokens, .forced = {}, .end = {}};
}

Tensors tensors(const RunOptions& o) {
  EXPECT_EQ(check(o), std::nullopt);
  return Tensors(run(o).dump);
}

void expect_same(const Tensors& a, const Tensors& b, const std::string& name) {
  EXPECT_LE(relative_error(a.at(name).numbers, b.at(name).numbers), noise) << name;
}

TEST(Properties, PrefillEqualsPrefillAndDecode) {
  const auto whole = tensors(small_run({request(1, 70)}));
  auto parts = request(1, 70, 31);
  parts.forced.assign(parts.prompt.begin() + 40, parts.prompt.end());
  parts.prompt.resize(40);
  const auto got = tensors(small_run({parts}));
  const auto& logits = whole.at("logits").numbers;
  EXPECT_LE(relative_error(got.at("logits").numbers, std::span(logits).first(40 * 256)), noise);
  EXPECT_LE(relative_error(got.at("decode_logits").numbers, std::span(logits).last(30 * 256)), noise);
}

TEST(Properties, ChunkedPrefillEqualsWhole) {
  const auto whole = tensors(small_run({request(2, 150)}));
  for (const std::int64_t chunk : {17, 64, 100})
    for (const auto attention : {PrefillAttention::mha, PrefillAttention::mqa}) {
      auto o = small_run({request(2, 150)});
      o.policy.chunked_prefill_tokens = chunk;
      o.policy.prefill_attention = attention;
      const auto got = tensors(o);
      expect_same(got, whole, "logits");
      expect_same(got, whole, "layer.3.topk");
    }
}

TEST(Properties, ExpandedAndAbsorbedAttentionAgree) {
  auto o = small_run({request(3, 120, 4)});
  o.policy.prefill_attention = PrefillAttention::mha;
  const auto mha = tensors(o);
  o.policy.prefill_attention = PrefillAttention::mqa;
  expect_same(tensors(o), mha, "logits");
  o.policy.absorb_max_new_tokens = 0;  // decode with expanded keys, too
  o.policy.prefill_attention = PrefillAttention::mha;
  expect_same(tensors(o), mha, "decode_logits");
  o.policy.fused = false;
  expect_same(tensors(o), mha, "logits");
}

TEST(Properties, TopKOfEverythingIsDenseAttention) {
  auto o = small_run({request(4, 90, 8)}, 1024);
  o.policy.dense_prefill_max_context = o.policy.dense_decode_max_context = 0;  // scores and chooses all the same
  const auto sparse = tensors(o);
  o.policy.dense_prefill_max_context = o.policy.dense_decode_max_context = -1;
  const auto dense = tensors(o);
  EXPECT_TRUE(sparse.has("layer.0.topk") && !dense.has("layer.0.topk"));
  expect_same(sparse, dense, "logits");
  expect_same(sparse, dense, "decode_logits");
}

TEST(Properties, OtherRequestsDoNotMatter) {
  const auto alone = tensors(small_run({request(5, 80, 6)}));
  const std::vector<Request> with{request(5, 80, 6), request(6, 10, 9), request(8, 140, 3), request(9, 80, 6)};
  const std::vector<Request> reordered{with[0], with[3], with[1], with[2]};
  for (const auto& requests : {with, reordered})
    for (const std::int64_t chunk : {16'384, 50}) {
      auto o = small_run(requests);
      o.policy.chunked_prefill_tokens = chunk;
      const auto got = tensors(o);
      expect_same(got, alone, "logits");
      expect_same(got, alone, "decode_logits");
      expect_same(got, alone, "decode_ids");
    }
}

struct Spread {
  Layout layout;
  DispatchChoice dispatch = DispatchChoice::automatic;
};

TEST(Properties, LayoutsEqualOneRank) {
  const std::vector<Request> requests{request(10, 75, 5), request(11, 20, 7), request(12, 33, 2), request(13, 130, 4), request(14, 9, 1)};
  auto o = small_run(requests);
  const auto one = tensors(o);
  std::vector<std::vector<std::int32_t>> ids;
  for (const auto& r : run(o).requests) ids.push_back(r.ids);
  const Spread spreads[] = {{{.tp = 2, .ep = 2}},
                            {{.tp = 2, .etp = 2}},
                            {{.tp = 4, .etp = 2, .ep = 2}},
                            {{.tp = 4, .ep = 4}},
                            {{.pp = 2}},
                            {{.pp = 4}},
                            {{.dp = 2, .ep = 2}, DispatchChoice::normal},
                            {{.dp = 2, .ep = 2}, DispatchChoice::low_latency},
                            {{.dp = 4, .ep = 4}},
                            {{.dp = 2, .etp = 2}},
                            {{.dp = 4, .etp = 2, .ep = 2}, DispatchChoice::normal},
                            {{.dp = 4, .etp = 2, .ep = 2}, DispatchChoice::low_latency},
                            {{.tp = 2, .dp = 2, .ep = 4}, DispatchChoice::normal},
                            {{.tp = 2, .dp = 2, .ep = 4}, DispatchChoice::low_latency},
                            {{.tp = 2, .dp = 2, .etp = 4}},
                            {{.tp = 2, .dp = 2, .pp = 2, .etp = 2, .ep = 2}},
                            {{.tp = 2, .pp = 3, .ep = 2}}};
  for (const auto& spread : spreads) {
    SCOPED_TRACE(label(spread.layout));
    o.layout = spread.layout;
    o.policy.dispatch = spread.dispatch;
    const auto result = run(o);
    const Tensors got(result.dump);
    for (const auto* name : {"logits", "decode_logits", "layer.0.hidden", "layer.3.hidden", "layer.3.attn_out", "layer.2.expert_weights"})
      expect_same(got, one, name);
    for (std::size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(result.requests[i].ids, ids[i]) << i;
  }
}

// The synthetic model's drafts are as good as chance; the sequence must not depend on them.
TEST(Properties, VerifiedDraftsEqualPlainGreedy) {
  auto o = small_run({request(15, 30, 40), request(16, 70, 40)});
  o.dump = false;
  const auto plain = run(o);
  o.policy.mtp_depth = 1;
  const auto drafted = run(o);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(plain.requests[i].ids, drafted.requests[i].ids);
    EXPECT_GE(drafted.requests[i].drafted, 38);
  }
  o.layout = {.tp = 2, .pp = 2, .ep = 2};
  EXPECT_EQ(run(o).requests[0].ids, plain.requests[0].ids);
}

TEST(Properties, DraftsAfterAPromptInChunks) {
  auto o = small_run({request(27, 90, 12), request(28, 40, 12)});
  o.dump = false;
  const auto plain = run(o);
  o.policy.mtp_depth = 1;
  o.policy.chunked_prefill_tokens = 32;
  const auto drafted = run(o);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(plain.requests[i].ids, drafted.requests[i].ids);
}

// Latents in bf16 beside quantised weights and activations: as engines serve V3.
TEST(Properties, Fp8ArithmeticOverABf16Cache) {
  const Fixture f("v32-yarn-fp8-mtp");
  auto o = f.options();
  o.requests[0].max_new_tokens = 6;
  const auto exact = tensors(o);
  o.numerics = Numerics::fp8;
  o.force = f.folder / "expected.safetensors";
  for (const auto cache : {CacheFormat::fp8, CacheFormat::bf16}) {
    o.policy.cache = cache;
    EXPECT_LT(relative_error(tensors(o).at("layer.0.attn_out").numbers, exact.at("layer.0.attn_out").numbers), 0.2);  // measured: 0.074 and 0.086; garbage: 1
  }
}

// A vocabulary of few ids accepts some drafts by chance.
TEST(Properties, AcceptedDraftsSaveSteps) {
  auto o = small_run({request(17, 30, 60)});
  o.model.vocab_size = 4;
  for (auto& id : o.requests[0].prompt) id %= 4;
  o.dump = false;
  const auto plain = run(o);
  o.policy.mtp_depth = 1;
  const auto drafted = run(o);
  EXPECT_EQ(plain.requests[0].ids, drafted.requests[0].ids);
  EXPECT_GT(drafted.requests[0].accepted, 0);
  EXPECT_EQ(drafted.steps.size() + static_cast<std::size_t>(drafted.requests[0].accepted), plain.steps.size());
}

TEST(Properties, SharedPrefixEqualsItsOwnCache) {
  auto first = request(18, 200, 12);
  auto second = first;
  second.prompt.resize(150);
  second.prompt.push_back(3);
  auto o = small_run({second});
  o.policy.mtp_depth = 1;
  o.dump = false;
  const auto alone = run(o);
  o.requests = {first, second};
  o.policy.chunked_prefill_tokens = 200;  // the first one's prompt runs before the second is looked at
  o.max_sequences = 1;
  EXPECT_EQ(run(o).requests[1].shared_tokens, 0);  // it has ended, its pages are free
  o.max_sequences = 2;
  const auto shared = run(o);
  EXPECT_EQ(shared.requests[1].shared_tokens, 128);  // whole pages of 64
  EXPECT_EQ(shared.requests[1].ids, alone.requests[0].ids);
}

TEST(Properties, SamplingDependsOnSeedAlone) {
  auto o = small_run({request(19, 20, 30), request(20, 50, 30)});
  o.dump = false;
  o.sampling = {.temperature = 1, .top_p = 0.95f, .seed = 4};
  const auto a = run(o);
  o.policy.chunked_prefill_tokens = 8;
  o.layout = {.tp = 2, .ep = 2};
  const auto b = run(o);
  o.sampling.seed = 5;
  const auto c = run(o);
  EXPECT_EQ(a.requests[0].ids, b.requests[0].ids);
  EXPECT_EQ(a.requests[1].ids, b.requests[1].ids);
  EXPECT_NE(a.requests[0].ids, c.requests[0].ids);
}

// One step by hand: 40 tokens after 70 cached ones, whose pages stand in any order.
std::vector<float> logits_on_pages(const std::vector<std::int32_t>& pages) {
  const auto model = small_model();
  const auto p = plan(model, {}, {}, true);
  const auto prompt = random_prompt(110, 256, 21);
  std::vector<float> result;
  run_ranks(1, [&](Communicator& world) {
    const Place place;
    const RankWeights weights(p, place, Numerics::exact, SyntheticWeights(7, DType::fp32));
    CpuBackend backend(p, place, Numerics::exact, weights, 8, world);
    BoundPlan bound;
    for (const auto& [cached, tokens] : {std::pair<std::int64_t, std::int64_t>{0, 70}, {70, 40}}) {
      StepInput in;
      in.batch = prefill(1, tokens, cached);
      in.ids.assign(prompt.begin() + cached, prompt.begin() + cached + tokens);
      in.next_ids.assign(static_cast<std::size_t>(tokens), -1);
      in.positions.resize(static_cast<std::size_t>(tokens));
      std::iota(in.positions.begin(), in.positions.end(), static_cast<std::int32_t>(cached));
      in.pages = {pages};
      in.sampled = {static_cast<std::int32_t>(tokens - 1)};
      in.random_streams = {0};
      execute(p, place, backend, in, bound, [&](const Block&, const BoundStep& step, Backend& b) {
        if (step.step->label == std::string_view("lm_head")) result = b.read("logits").numbers;
      });
    }
  });
  return result;
}

TEST(Properties, OrderOfPagesDoesNotMatter) { EXPECT_EQ(logits_on_pages({0, 1}), logits_on_pages({6, 3})); }

TEST(Properties, DrafterReadsTheLastCertainToken) {
  StepInput in;
  in.batch.groups = {{2, 2, 10}, {1, 3, 0}, {1, 4, 0}};
  in.ids = {1, 2, 1, 2, 5, 6, 7, 5, 6, 7, 8};
  in.next_ids = {-1, -1, -1, -1, 6, 7, -1, 6, 7, 8, 9};
  in.sampled = {0, 1, 2, 3, 6};
  const std::vector<std::int32_t> sampled{2, 9, 4, 9, 9};
  EXPECT_EQ(confirmed_tokens(in, sampled), (std::vector<std::int32_t>{1, 2, 6, 10}));  // draft confirmed, draft refused, end of a prompt, its middle
}

std::string refusal(RunOptions o) {
  o.dump = false;
  try {
    run(o);
  } catch (const Error& e) { return e.what(); }
  return "";
}

TEST(Properties, BadRequestsAreRefused) {
  auto o = small_run({request(22, 20)});
  o.requests[0].prompt[3] = 256;
  EXPECT_EQ(refusal(o), "prompt 1: token id 256 is not among the 256 of the vocabulary");
  o = small_run({request(22, 20, 4080)});
  EXPECT_EQ(refusal(o), "prompt 1: 20 tokens and 4080 new ones are more than the model's 4096 positions");
  o = small_run({request(22, 20), request(23, 300)});
  o.pages = 4;
  EXPECT_EQ(refusal(o), "prompt 2: 301 tokens do not fit in 4 cache pages");
  EXPECT_EQ(refusal(small_run({request(22, 20, 0)})), "prompt 1: asks for 0 new tokens; at least 1");
  EXPECT_EQ(check(small_run({})), "there is no prompt");
  o = small_run({request(22, 20)});
  o.max_sequences = 0;
  EXPECT_EQ(check(o), "max_sequences is 0; at least 1");
  o = small_run({request(22, 20)});
  o.policy.mtp_depth = 2;
  EXPECT_EQ(check(o), "the executor drafts one token a step, not 2");
}

TEST(Properties, FewPagesMakeRequestsWait) {
  auto o = small_run({request(24, 100, 20), request(25, 100, 20), request(26, 60, 3)});
  o.dump = false;
  const auto all = run(o);
  o.pages = 4;  // two for a request and one for padding
  const auto waiting = run(o);
  EXPECT_GT(waiting.steps.size(), all.steps.size());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(all.requests[i].ids, waiting.requests[i].ids);
}

}  // namespace
}  // namespace fathom::executor
