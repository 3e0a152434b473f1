// What is neither model nor machine: how an engine chooses to run the model.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model_spec/batch.h"
#include "model_spec/model.h"
#include "model_spec/ops/cache.h"
#include "model_spec/ops/collectives.h"

namespace fathom::model_spec {

// How the core attention of a group runs.
enum class Path : std::uint8_t {
  dense_mha,       // keys and values expanded per head, all of them
  masked_mha,      // the same with the keys masked that the indexer did not pick
  dense_mqa,       // absorbed, over the whole latent cache
  sparse_decode,   // absorbed, over the picked records of the cache
  sparse_prefill,  // absorbed, over the picked records of a bf16 copy of the context
};
inline constexpr std::size_t path_count = 5;
inline constexpr std::array<std::string_view, path_count> path_names{"dense_mha", "masked_mha", "dense_mqa", "sparse_decode", "sparse_prefill"};
constexpr std::string_view name_of(Path p) { return path_names[static_cast<std::size_t>(p)]; }

// A set of paths; a step of a plan serves those in its set.
using PathSet = std::uint8_t;
constexpr PathSet bit(Path p) { return static_cast<PathSet>(1U << static_cast<unsigned>(p)); }
inline constexpr PathSet mha_paths = bit(Path::dense_mha) | bit(Path::masked_mha);
inline constexpr PathSet mqa_paths = bit(Path::dense_mqa) | bit(Path::sparse_decode) | bit(Path::sparse_prefill);
inline constexpr PathSet indexed_paths = bit(Path::masked_mha) | bit(Path::sparse_decode) | bit(Path::sparse_prefill);
inline constexpr PathSet all_paths = mha_paths | mqa_paths;

enum class PrefillAttention : std::uint8_t { automatic, mha, mqa };
inline constexpr std::array<std::string_view, 3> prefill_attention_names{"auto", "mha", "mqa"};
enum class DispatchChoice : std::uint8_t { automatic, normal, low_latency };
inline constexpr std::array<std::string_view, 3> dispatch_choice_names{"auto", "normal", "low_latency"};
enum class Overlap : std::uint8_t { none, two_batch };
inline constexpr std::array<std::string_view, 2> overlap_names{"none", "two_batch"};

struct Policy {
  // Producers quantise what they write, projections that share an input are one product, RoPE, Hadamard and cache writes ride along with
  // the kernel before: as production engines do. Off: every operator is a kernel.
  bool fused = true;
  CacheFormat cache = CacheFormat::fp8;
  // Groups with at most this many new tokens run absorbed (decode kernels); longer ones are prefill.
  std::int64_t absorb_max_new_tokens = 16;
  // Prefill of sparse layers: automatic takes masked MHA or sparse MQA, whichever does less matrix work (and MHA for dense layers).
  PrefillAttention prefill_attention = PrefillAttention::automatic;
  // Sparse layers attend to everything, without scores, while a sequence is at most this long; prefill and decode apart.
  // -1: as long as index_topk, where the result is the same by definition.
  std::int64_t dense_prefill_max_context = -1;
  std::int64_t dense_decode_max_context = 0;
  DispatchChoice dispatch = DispatchChoice::automatic;
  // automatic: low latency up to this many tokens a rank. DeepEP sizes its low-latency buffers for this order (its own test: 128).
  std::int64_t low_latency_max_tokens = 256;
  DType combine_type = DType::bf16;  // dispatch sends what the experts read
  std::int64_t mtp_depth = 0;        // draft tokens a step, made by the prediction layer
  // It reads the hidden state after the final norm, as serving engines feed it (DeepSeek has not said), or before.
  bool mtp_normed_hidden = true;
  Overlap overlap = Overlap::none;
  std::int64_t chunked_prefill_tokens = 16384;  // most new tokens a rank works on in one step
  double index_logits_GB = 1;                   // workspace for scores; queries are chunked to fit
  friend bool operator==(const Policy&, const Policy&) = default;
};

// The reason why this policy cannot run this model, in one line, or nothing.
std::optional<std::string> check(const ModelSpec&, const Policy&);

// The path of one group in layers of one kind of attention.
Path choose_path(const ModelSpec&, const Policy&, Attention, const Group&);
// Tokens a rank that low-latency buffers have room for.
constexpr std::int64_t low_latency_slots(const Policy& p, std::int64_t tokens) { return tokens > p.low_latency_max_tokens ? tokens : p.low_latency_max_tokens; }
// How tokens travel to experts when a rank sends `tokens` of them.
Transport choose_transport(const Policy&, std::int64_t tokens);

}  // namespace fathom::model_spec
