// Times index_logits and top_k: medians of graph replays, against the floor that cost() gives of each record. `index_bench [name]` times those whose
// name contains it.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "kernels/cpu/codec.h"
#include "kernels/cuda/index_logits.h"
#include "kernels/cuda/top_k.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

// H200 SXM: as in hardware_profiles/profiles/h200_sxm.toml.
constexpr double fp8_flops = 1979e12, hbm_bytes = 4.8e12;
constexpr I cold_bytes = 256 << 20;  // sets of operands that follow each other exceed the L2 (60 MB) several times over
constexpr I largest_bytes = I{48} << 30;
constexpr I V32_heads = 64, V32_dims = 128, V32_topk = 2048;  // DeepSeek-V3.2: index_n_heads, index_head_dim, index_topk

// Median seconds of one of `count` launches, launch(0) ... launch(count - 1), in a graph.
template <class Launch>
double seconds(I count, Launch launch) {
  cudaStream_t stream{};
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  cudaGraph_t graph{};
  cudaGraphExec_t replay{};
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  for (I i = 0; i < count; ++i) launch(i, stream);
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&replay, graph, 0), "cudaGraphInstantiate");
  cudaEvent_t start{}, stop{};
  check(cudaEventCreate(&start), "cudaEventCreate");
  check(cudaEventCreate(&stop), "cudaEventCreate");
  std::vector<float> times;
  for (int i = 0; i < 15; ++i) {
    check(cudaEventRecord(start, stream), "cudaEventRecord");
    check(cudaGraphLaunch(replay, stream), "cudaGraphLaunch");
    check(cudaEventRecord(stop, stream), "cudaEventRecord");
    check(cudaEventSynchronize(stop), "cudaEventSynchronize");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, start, stop), "cudaEventElapsedTime");
    if (i >= 4) times.push_back(ms);  // the first ones warm up
  }
  cudaEventDestroy(start), cudaEventDestroy(stop), cudaGraphExecDestroy(replay), cudaGraphDestroy(graph), cudaStreamDestroy(stream);
  std::nth_element(times.begin(), times.begin() + std::ssize(times) / 2, times.end());
  return 1e-3 * times[times.size() / 2] / static_cast<double>(count);
}

template <class Op>
void report(std::string_view sizes, const Op& op, double time) {
  const auto cost = model_spec::cost_of(op);
  const double flops = cost.total_matrix_flops(), floor = std::max(flops / fp8_flops, cost.hbm_bytes() / hbm_bytes);
  fmt::print("{:13} {:44} {:10.2f} us {:8.1f} TFLOPS {:8.1f} GB/s {:6.1f} % of the floor ({:.2f} us)\n", Op::name, sizes, 1e6 * time, flops / time / 1e12,
             cost.hbm_bytes() / time / 1e9, 100 * floor / time, 1e6 * floor);
}

// `bytes` of memory in which `pattern` repeats.
Memory filled(I bytes, const std::vector<std::uint8_t>& pattern) {
  Memory memory(static_cast<std::size_t>(bytes));
  for (I at = 0; at < bytes; at += std::ssize(pattern))
    check(
        cudaMemcpy(memory.as<std::uint8_t>() + at, pattern.data(), static_cast<std::size_t>(std::min(std::ssize(pattern), bytes - at)), cudaMemcpyHostToDevice),
        "cudaMemcpy");
  return memory;
}
template <class T, class Value>
std::vector<std::uint8_t> bytes_of(I count, Value value) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * sizeof(T));
  for (I i = 0; i < count; ++i) {
    const T v = value(i);
    std::memcpy(bytes.data() + static_cast<std::size_t>(i) * sizeof(T), &v, sizeof(T));
  }
  return bytes;
}

void time_index_logits(I sequences, I fresh, I cached) {
  const I tokens = sequences * fresh, keys = cached + fresh, page = model_spec::page_tokens, pages = (keys + page - 1) / page;
  const I key_bytes = V32_dims * page, page_bytes = key_bytes + 4 * page, cache_bytes = sequences * pages * page_bytes, columns = (keys + 3) / 4 * 4;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  const auto e4m3 = [&](I) { return cpu::encode_e4m3(100 * normal(random)); };
  const auto record = bytes_of<std::uint32_t>(256 * page_bytes / 4, [&](I i) {
    if (4 * i % page_bytes >= key_bytes) return std::bit_cast<std::uint32_t>(0.01f);
    std::uint32_t four = 0;
    for (int j = 0; j < 4; ++j) four = four << 8 | e4m3(j);
    return four;
  });
  const I sets = std::clamp<I>(cold_bytes / cache_bytes, 1, 16);
  const auto cache = filled(sets * cache_bytes, record);
  const auto q = filled(tokens * V32_heads * V32_dims, bytes_of<std::uint8_t>(1 << 20, e4m3));
  const auto ones = bytes_of<float>(1 << 16, [&](I) { return 0.1f * normal(random); });
  const auto scales = filled(4 * tokens * V32_heads, ones), w = filled(4 * tokens * V32_heads, ones);
  const Memory logits(static_cast<std::size_t>(4 * tokens * columns));
  std::vector<std::int32_t> sequence, visible, table;
  for (I t = 0; t < tokens; ++t) sequence.push_back(static_cast<std::int32_t>(t / fresh)), visible.push_back(static_cast<std::int32_t>(cached + t % fresh + 1));
  for (I i = 0; i < sequences * pages; ++i) table.push_back(static_cast<std::int32_t>(i));
  std::shuffle(table.begin(), table.end(), random);
  const auto of = upload(sequence), seen = upload(visible), numbers = upload(table);
  const model_spec::IndexLogits<I> op{.sequences = sequences, .new_tokens = fresh, .cached_tokens = cached, .heads = V32_heads, .dims = V32_dims};
  const double time = seconds(std::max<I>(sets, 4), [&](I i, Stream stream) {
    index_logits(op, tokens, 1.0f, {DType::fp8_row, tokens * V32_heads, V32_dims, V32_dims, q.get(), scales.as<float>(), tokens * V32_heads},
                 {DType::fp32, tokens, V32_heads, V32_heads, w.get()}, {DType::fp8_row, V32_dims, cache.as<std::byte>() + i % sets * cache_bytes},
                 {of.as<std::int32_t>(), seen.as<std::int32_t>(), numbers.as<std::int32_t>(), pages, keys},
                 {DType::fp32, tokens, columns, columns, logits.get()}, stream);
  });
  report(fmt::format("{} x {} queries after {}", sequences, fresh, cached), op, time);
}

// Scores of a normal distribution, or all equal.
void time_top_k(I sequences, I fresh, I cached, bool flat) {
  const I tokens = sequences * fresh, columns = (cached + fresh + 3) / 4 * 4, bytes = 4 * tokens * columns;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  const auto numbers = bytes_of<float>((1 << 22) + 4, [&](I) { return flat ? 1.0f : normal(random); });
  const I sets = std::clamp<I>(cold_bytes / bytes, 1, 64);
  const auto scores = filled(sets * bytes, numbers);
  const Memory indices(static_cast<std::size_t>(4 * tokens * V32_topk));
  std::vector<std::int32_t> visible;
  for (I t = 0; t < tokens; ++t) visible.push_back(static_cast<std::int32_t>(cached + t % fresh + 1));
  const auto seen = upload(visible);
  const model_spec::TopK<I> op{.sequences = sequences, .new_tokens = fresh, .cached_tokens = cached, .topk = V32_topk};
  const double time = seconds(std::max<I>(sets, 4), [&](I i, Stream stream) {
    top_k(op, tokens, {DType::fp32, tokens, columns, columns, scores.as<std::byte>() + i % sets * bytes}, seen.as<std::int32_t>(),
          {DType::int32, tokens, V32_topk, V32_topk, indices.get()}, stream);
  });
  report(fmt::format("{} x {} queries after {}{}", sequences, fresh, cached, flat ? ", all equal" : ""), op, time);
}

struct Sizes {
  I sequences, fresh, cached;
};
std::vector<Sizes> sizes() {
  std::vector<Sizes> all;
  for (const I context : {4096, 16'384, 65'536, 131'072})
    for (const I sequences : {1, 8, 64, 128}) all.push_back({sequences, 1, context - 1});
  for (const I context : {16'384, 65'536}) all.push_back({64, 2, context - 2});
  for (const I fresh : {512, 4096, 8192}) all.push_back({1, fresh, 0});
  for (const I cached : {28'672, 61'440}) all.push_back({1, 4096, cached});
  return all;
}

void run(std::string_view wanted) {
  const auto chosen = [&](std::string_view name) { return name.find(wanted) != std::string_view::npos; };
  for (const auto& [sequences, fresh, cached] : sizes()) {
    if (sequences * fresh * (cached + fresh) * 4 > largest_bytes) continue;
    if (chosen("index_logits")) time_index_logits(sequences, fresh, cached);
    if (!chosen("top_k")) continue;
    time_top_k(sequences, fresh, cached, false);
    if (cached + fresh == 65'536) time_top_k(sequences, fresh, cached, true);
  }
}

}  // namespace
}  // namespace fathom::kernels::cuda

int main(int argc, char** argv) {
  try {
    fathom::kernels::cuda::run(argc > 1 ? argv[1] : "");
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
