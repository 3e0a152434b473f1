// Runs whose steps a test watches on every rank, and the model that the layouts in tests share out.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include "executor/cpu_backend.h"
#include "executor/threads.h"
#include "model_spec/memory.h"
#include "tests/executor/fixture.h"

namespace fathom::executor {

// A dense layer, one of experts and a prediction layer, stored in fp8 unless said, whose slices cut no block for up to four ranks.
inline ModelSpec small_model(DType stored = DType::fp8_block) {
  auto m = find_model("tests/fixtures/v32-yarn-fp8-mtp");
  m.layers = {{.attention = Attention::mla_sparse, .ffn = Ffn::dense, .layers = {}}, {.attention = Attention::mla_sparse, .ffn = Ffn::moe, .layers = {}}};
  m.num_attention_heads = 8;
  m.intermediate_size = m.moe_intermediate_size = 512;
  m.indexer->index_n_heads = 4;
  m.storage = {.attention = stored, .indexer = stored, .dense_ffn = stored, .shared_experts = stored, .routed_experts = stored};
  return m;
}

// Prompts of these lengths.
inline std::vector<Request> requests_of(const ModelSpec& m, std::initializer_list<std::pair<std::int64_t, std::int64_t>> prompts_and_new_tokens) {
  std::vector<Request> result;
  for (const auto& [tokens, more] : prompts_and_new_tokens)
    result.push_back({.prompt = random_prompt(tokens, m.vocab_size, result.size() + 1), .max_new_tokens = more, .forced = {}, .end = {}});
  return result;
}

// Generates on all ranks of a layout. options_of(rank, backend, weights) gives a rank's observers; it is called on the rank's own thread.
inline void watch(const RunOptions& o, const Plan& p, const std::function<GenerateOptions(int rank, const CpuBackend&, const RankWeights&)>& options_of) {
  std::int64_t pages = 1;  // enough for all requests on one rank, and for padding
  for (const auto& r : o.requests) pages += paged(std::ssize(r.prompt) + r.max_new_tokens + o.policy.mtp_depth) / page_tokens;
  run_ranks(static_cast<int>(gpus(o.layout)), [&](Communicator& world) {
#ifdef _OPENMP
    omp_set_num_threads(std::max(1, omp_get_num_procs() / world.size()));
#endif
    const auto place = place_of(o.layout, world.rank());
    const RankWeights weights(p, place, o.numerics, *o.weights);
    CpuBackend backend(p, place, o.numerics, weights, pages, world);
    auto options = options_of(world.rank(), backend, weights);
    options.pages = pages;
    (void)generate(p, place, backend, world, o.requests, options);
  });
}

}  // namespace fathom::executor
