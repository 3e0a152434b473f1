// Attention at V3.2's sizes, timed: microseconds, TFLOPS, and the percentage of the time's floor that the record's cost() gives at H200's nominal rates
// (989 TFLOPS of bf16, 4.8 TB/s: NVIDIA's data sheet).
#include <fmt/core.h>

#include <functional>
#include <random>

#include "kernels/cuda/attention.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

using model_spec::CacheFormat;
constexpr double peak_flops = 989e12, peak_bandwidth = 4.8e12;
constexpr I latent = 512, rope = 64, nope = 128, v = 128, topk = 2048;
constexpr float scale = 0.0722f;  // 1 / sqrt(nope + rope)

// Seconds of one run: the mean over replays of its graph.
double seconds(const std::function<void(Stream)>& run) {
  constexpr int warm = 3, replays = 20;
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t replay = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  run(stream);
  check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  check(cudaGraphInstantiate(&replay, graph, 0), "cudaGraphInstantiate");
  for (int i = 0; i < warm + replays; ++i) {
    if (i == warm) check(cudaEventRecord(begin, stream), "cudaEventRecord");
    check(cudaGraphLaunch(replay, stream), "cudaGraphLaunch");
  }
  check(cudaEventRecord(end, stream), "cudaEventRecord");
  check(cudaEventSynchronize(end), "kernel");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
  cudaGraphExecDestroy(replay);
  cudaGraphDestroy(graph);
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  cudaStreamDestroy(stream);
  return milliseconds / 1e3 / replays;
}

template <class Op>
void report(const char* what, const Op& expected, const std::function<void(Stream)>& run) {
  const auto cost = model_spec::cost(expected);
  const double s = seconds(run), flops = cost.total_matrix_flops(), least = std::max(flops / peak_flops, cost.hbm_bytes() / peak_bandwidth);
  fmt::print("{:44} {:10.1f} us {:7.1f} TFLOPS {:5.1f}% of the floor\n", what, s * 1e6, flops / s / 1e12, least / s * 100);
}

// Numbers uniform in (-1, 1): a random piece again and again.
Memory random_bf16(I count) {
  const Array piece = cpu::random_array(DType::bf16, 1, std::min<I>(count, 1 << 20));
  const auto bytes = static_cast<std::size_t>(2 * count);
  Memory m(bytes);
  for (std::size_t at = 0, n = 0; at < bytes; at += n) {
    n = std::min(bytes - at, static_cast<std::size_t>(2 * piece.columns()));
    check(cudaMemcpy(m.as<std::byte>() + at, piece.data(), n, cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  return m;
}
// fp8 records with scales of one: a page of them again and again.
Memory random_cache(I pages) {
  constexpr std::size_t width = latent + 4 * latent / model_spec::scale_block + 2 * rope;
  std::vector<std::byte> bytes(width * static_cast<std::size_t>(pages * model_spec::page_tokens));
  std::mt19937 random(1);
  const float one = 1;
  for (std::size_t record = 0; record < bytes.size(); record += width) {
    if (record >= width * model_spec::page_tokens) {
      std::memcpy(&bytes[record], &bytes[record - width * model_spec::page_tokens], width);
      continue;
    }
    for (std::size_t i = 0; i < width; ++i) bytes[record + i] = std::byte(random() & 0xb7);  // below 1, and so in bf16
    for (std::size_t i = 0; i < 4; ++i) std::memcpy(&bytes[record + latent + 4 * i], &one, 4);
  }
  return upload(bytes);
}

// `sequences` of `new_tokens` queries behind `cached` keys, pages in order, keys of a copy one sequence after the other.
struct Batch {
  I sequences, new_tokens, cached, keys = new_tokens + cached, tokens = sequences * new_tokens, max_pages = (keys + 63) / 64;
  std::vector<std::int32_t> sequence{}, visible{}, pages{}, first_key{};
  Batch(I n, I new_each, I cached_each) : sequences(n), new_tokens(new_each), cached(cached_each) {
    for (I t = 0; t < tokens; ++t) {
      sequence.push_back(static_cast<std::int32_t>(t / new_tokens));
      visible.push_back(static_cast<std::int32_t>(cached + t % new_tokens + 1));
    }
    for (I i = 0; i < n * max_pages; ++i) pages.push_back(static_cast<std::int32_t>(i));
    for (I i = 0; i < n; ++i) first_key.push_back(static_cast<std::int32_t>(i * keys));
  }
  // Distinct positions among those that each query sees, ascending, then -1: one at random of each of `topk` equal parts.
  [[nodiscard]] std::vector<std::int32_t> indices() const {
    std::mt19937 random(1);
    std::vector<std::int32_t> all;
    for (const I n : visible)
      for (I i = 0; i < topk; ++i) {
        const I first = n > topk ? i * n / topk : i, last = n > topk ? (i + 1) * n / topk : i + 1;
        all.push_back(i < n ? static_cast<std::int32_t>(first + static_cast<I>(random()) % (last - first)) : -1);
      }
    return all;
  }
};

struct OnDeviceBatch {
  Memory sequence, visible, pages, first_key;
  Context context;
  explicit OnDeviceBatch(const Batch& b)
      : sequence(upload(b.sequence)),
        visible(upload(b.visible)),
        pages(upload(b.pages)),
        first_key(upload(b.first_key)),
        context{sequence.as<std::int32_t>(), visible.as<std::int32_t>(), pages.as<std::int32_t>(), b.max_pages, b.keys} {}
};

Matrix view(const Memory& m, I rows, I columns, DType type = DType::bf16) { return {type, rows, columns, columns, m.get(), nullptr, 0}; }

template <class N>
model_spec::DenseMha<N> mha_record(const Batch& b, I heads, bool masked) {
  return {.sequences = N(b.sequences),
          .new_tokens = N(b.new_tokens),
          .cached_tokens = N(b.cached),
          .heads = N(heads),
          .nope = N(nope),
          .rope = N(rope),
          .v = N(v),
          .masked = masked};
}
void mha(const char* what, const Batch& b, I heads, bool masked) {
  const I keys = b.sequences * b.keys, bytes = masked ? mha_workspace(b.tokens, b.keys) : 0;
  const Memory bits(static_cast<std::size_t>(bytes) + 1);
  const Memory q = random_bf16(b.tokens * heads * (nope + rope)), kv = random_bf16(keys * heads * (nope + v)), k_pe = random_bf16(keys * rope),
               o(static_cast<std::size_t>(2 * b.tokens * heads * v)), chosen = upload(masked ? b.indices() : std::vector<std::int32_t>(1));
  const OnDeviceBatch on(b);
  report(what, mha_record<double>(b, heads, masked), [&](Stream stream) {
    dense_mha(mha_record<I>(b, heads, masked), b.tokens, scale, view(q, b.tokens * heads, nope + rope), view(kv, keys * heads, nope + v),
              view(k_pe, keys, rope), on.context, on.first_key.as<std::int32_t>(), view(chosen, b.tokens, topk, DType::int32), {bits.get(), bytes},
              view(o, b.tokens * heads, v), stream);
  });
}

template <class N>
model_spec::DenseMqa<N> mqa_record(const Batch& b, I heads) {
  return {.sequences = N(b.sequences),
          .new_tokens = N(b.new_tokens),
          .cached_tokens = N(b.cached),
          .heads = N(heads),
          .latent = N(latent),
          .rope = N(rope),
          .cache = CacheFormat::fp8};
}
template <class N>
model_spec::SparseMla<N> sparse_record(const Batch& b, I heads, CacheFormat format) {
  return {.sequences = N(b.sequences),
          .new_tokens = N(b.new_tokens),
          .cached_tokens = N(b.cached),
          .heads = N(heads),
          .latent = N(latent),
          .rope = N(rope),
          .topk = N(topk),
          .cache = format};
}

enum class Keys { all, chosen, chosen_from_copy };
void absorbed(const char* what, const Batch& b, I heads, Keys which) {
  const bool from_copy = which == Keys::chosen_from_copy;
  const I rows = b.tokens * heads, keys = b.sequences * b.keys, bytes = attention_workspace(b.tokens, heads, latent);
  const Memory q = random_bf16(rows * (latent + rope)), o(static_cast<std::size_t>(2 * rows * latent)), workspace(static_cast<std::size_t>(bytes)),
               cache = random_cache(from_copy ? 1 : b.sequences * b.max_pages), copy = random_bf16(from_copy ? keys * (latent + rope) : 1),
               indices = upload(which == Keys::all ? std::vector<std::int32_t>(1) : b.indices());
  const OnDeviceBatch on(b);
  const LatentCache records{CacheFormat::fp8, latent, rope, cache.get()};
  const Matrix q_view = view(q, rows, latent + rope), o_view = view(o, rows, latent);
  const CacheFormat format = from_copy ? CacheFormat::bf16 : CacheFormat::fp8;
  if (which == Keys::all)
    report(what, mqa_record<double>(b, heads), [&](Stream stream) {
      dense_mqa(mqa_record<I>(b, heads), b.tokens, scale / 4, q_view, records, on.context, {workspace.get(), bytes}, o_view, stream);
    });
  else
    report(what, sparse_record<double>(b, heads, format), [&](Stream stream) {
      sparse_mla(sparse_record<I>(b, heads, format), b.tokens, scale / 4, q_view, view(indices, b.tokens, topk, DType::int32), records,
                 from_copy ? view(copy, keys, latent + rope) : Matrix{}, on.first_key.as<std::int32_t>(), on.context, {workspace.get(), bytes}, o_view, stream);
    });
}

void all() {
  mha("dense_mha, 2048 queries, 128 heads", {1, 2048, 0}, 128, false);
  mha("dense_mha, 4096 queries, 128 heads", {1, 4096, 0}, 128, false);
  mha("dense_mha, 4 x 1000 queries, 128 heads", {4, 1000, 0}, 128, false);
  mha("dense_mha, 4096 queries, 128 heads, masked", {1, 4096, 0}, 128, true);
  absorbed("sparse_mla, 4096 queries after 4096, 128 heads", {1, 4096, 4096}, 128, Keys::chosen_from_copy);
  absorbed("sparse_mla, 1024 queries after 31K, 128 heads", {1, 1024, 31744}, 128, Keys::chosen_from_copy);
  for (const I n : {1, 8, 32, 64, 128}) {
    absorbed(fmt::format("sparse_mla, {} x 1 query after 8K, 128 heads", n).c_str(), {n, 1, 8191}, 128, Keys::chosen);
    absorbed(fmt::format("sparse_mla, {} x 1 query after 8K, 16 heads", n).c_str(), {n, 1, 8191}, 16, Keys::chosen);
  }
  for (const I n : {1, 32, 128}) absorbed(fmt::format("dense_mqa, {} x 1 query after 2K, 128 heads", n).c_str(), {n, 1, 2047}, 128, Keys::all);
}

}  // namespace
}  // namespace fathom::kernels::cuda

int main() {
  try {
    fathom::kernels::cuda::all();
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
