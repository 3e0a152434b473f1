// The largest logit, or the largest exp((logit - most) / temperature) / noise among the likeliest tokens whose probabilities reach top_p
// (model_spec/ops/sample.h, executor/sampling.h, kernels/cpu/sample.h).
// Floor: 4 bytes read an entry, and at a temperature a random number each. A cluster of blocks has a row, each a slice of it, which L1 keeps for the
// passes that follow. exp and log go by fp64 and are rounded once, so that the numbers are those of the CPU; but only for the few entries that a bound in
// fp32 leaves in the running (Draw).
//
// top_p: tokens have an order without ties, logit first, then the smaller id. The nucleus is all tokens from a threshold on: the highest token whose
// weight and those above it sum to top_p of the whole. It is found by bisection over the bits of that order, summing what lies in the upper half of the
// interval, until one token is left in it. Sums are made in a fixed order.
#include "kernels/cuda/sample.h"

#include <cooperative_groups.h>

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

namespace groups = cooperative_groups;

constexpr int slices = 8;  // the largest cluster that any device takes
constexpr int threads = 512;

// The order of tokens: logit, and of equal ones the smaller id, as an unsigned number.
__device__ std::uint64_t place_of(float x, std::int64_t v) {
  const std::uint32_t bits = __float_as_uint(x + 0.0f);  // the two zeros are one
  const std::uint32_t key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<std::uint64_t>(key) << 32 | ~static_cast<std::uint32_t>(v);
}
__device__ std::int64_t id_of(std::uint64_t place) { return static_cast<std::uint32_t>(~place); }

struct Weight {
  double sum;
  int tokens;
};
__device__ Weight join(const Weight& a, const Weight& b) { return {a.sum + b.sum, a.tokens + b.tokens}; }
__device__ Weight from_lane(const Weight& w, unsigned step) { return {__shfl_xor_sync(all_lanes, w.sum, step), __shfl_xor_sync(all_lanes, w.tokens, step)}; }

__device__ std::uint64_t join(std::uint64_t a, std::uint64_t b) { return a > b ? a : b; }
__device__ std::uint64_t from_lane(std::uint64_t a, unsigned step) { return __shfl_xor_sync(all_lanes, a, step); }

template <class T>
__device__ T over_warp(T value) {
  for (unsigned step = 16; step > 0; step /= 2) value = join(value, from_lane(value, step));
  return value;
}

// All threads of the cluster join their values in a fixed order and get the same bits. `parts` takes turns, so that one barrier of the cluster is
// enough: who writes a part again has passed the next barrier, and all had read it before that one.
template <class T>
struct Joint {
  T warp[2][threads / 32];
  T slice[2];
};
template <class T>
__device__ T over_cluster(T value, Joint<T>& parts, int turn) {
  const auto cluster = groups::this_cluster();
  value = over_warp(value);
  if (lane_id() == 0) parts.warp[turn % 2][threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x < 32) {
    value = over_warp(lane_id() < threads / 32 ? parts.warp[turn % 2][lane_id()] : T{});
    if (lane_id() == 0) parts.slice[turn % 2] = value;
  }
  cluster.sync();
  T all{};
  for (unsigned s = 0; s < slices; ++s) all = join(all, cluster.map_shared_rank(&parts.slice[turn % 2], s)[0]);
  return all;
}

// A block's part of one row.
struct Slice {
  const float* logits;  // [vocab], of which it has first .. last
  std::int64_t first, last;
};

template <class T, class Value>
__device__ T over_slice(const Slice& slice, Value value) {
  T all{};
#pragma unroll 4
  for (std::int64_t v = slice.first + threadIdx.x; v < slice.last; v += threads) all = join(all, value(slice.logits[v], v));
  return all;
}

__device__ std::uint64_t splitmix64(std::uint64_t x) {
  auto z = x + 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}
// Draws from Exp(1), as executor/sampling.h has them, from 64 random bits each.
__device__ float exponential_noise(std::uint64_t bits) { return static_cast<float>(-log((static_cast<double>(bits >> 11) + 0.5) * 0x1p-53)); }
// No more than that: -log(u) >= 1 - u.
__device__ float least_noise(std::uint64_t bits) { return static_cast<float>(~static_cast<std::uint32_t>(bits >> 32)) * 0x1p-32f; }

// The lowest place of the nucleus. Of the weights from `low` on, and not of those from `high` on, the sum reaches the goal.
__device__ std::uint64_t nucleus(const Slice& slice, float most, float temperature, float top_p, Joint<Weight>& parts) {
  int turn = 0;
  const auto between = [&](std::uint64_t low, std::uint64_t high) {
    return over_cluster(over_slice<Weight>(slice,
                                           [&](float x, std::int64_t v) -> Weight {
                                             const std::uint64_t place = place_of(x, v);
                                             return place < low || place >= high ? Weight{} : Weight{exp((double{x} - most) / temperature), 1};
                                           }),
                        parts, turn++);
  };
  std::uint64_t low = 0, high = ~std::uint64_t{0};
  Weight above{}, inside = between(low, high);  // from `high` on, and from `low` to `high`
  const double goal = top_p * inside.sum;
  while (inside.tokens > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    const Weight upper = between(middle, high);
    if (above.sum + upper.sum >= goal) {
      low = middle;
      inside = upper;
    } else {
      high = middle;
      above = join(above, upper);
      inside.tokens -= upper.tokens;
    }
  }
  return low;
}

// Entry v of a row gets weight / noise: weight = exp((logit - most) / temperature), noise is draw v of the row's stream.
struct Draw {
  float temperature, scaled_most;  // most / temperature
  std::uint64_t base;              // splitmix64(seed ^ stream)

  [[nodiscard]] __device__ std::uint64_t bits(std::int64_t v) const { return splitmix64(base + static_cast<std::uint64_t>(v)); }
  [[nodiscard]] __device__ float value(float x, std::uint64_t random) const {
    return static_cast<float>(exp(double{x / temperature - scaled_most})) / exponential_noise(random);
  }
  // Whether that might reach `bound`. Roundings move the exponent by less than 2^-21 of x / temperature, which for entries that can win (noise is more than
  // 2^-54) is less than 44 away from scaled_most; fp32 functions add less than 1e-5 of the weight. At any temperature: the slack is the exponent's.
  [[nodiscard]] __device__ bool may_reach(float bound, float x, std::uint64_t random) const {
    const float slack = 1e-4f + 1e-6f * (fabsf(scaled_most) + 44);
    return !(__expf(x * (1 / temperature) - scaled_most + slack) < bound * least_noise(random));
  }
};

// The best of the slice's entries from place `lowest` on, and of `best`, whose value is `bound`. What a lane finds is a bound for its whole warp.
__device__ std::uint64_t best_draw(const Slice& slice, const Draw& draw, std::uint64_t lowest, std::uint64_t best, float bound) {
  constexpr int own = 4;
  for (std::int64_t first = slice.first + threadIdx.x / 32 * 32 * own; first < slice.last; first += threads * own) {
    float x[own];
    std::uint64_t random[own];
    unsigned left = 0;
#pragma unroll
    for (int i = 0; i < own; ++i) {
      const std::int64_t v = first + 32 * i + lane_id();
      x[i] = slice.logits[min(v, slice.last - 1)];
      random[i] = draw.bits(v);
      if (v < slice.last && place_of(x[i], v) >= lowest && draw.may_reach(bound, x[i], random[i])) left |= 1u << i;
    }
    if (__ballot_sync(all_lanes, left) == 0) continue;
#pragma unroll
    for (int i = 0; i < own; ++i) {
      if (!(left >> i & 1)) continue;
      const float value = draw.value(x[i], random[i]);
      best = join(best, place_of(value, first + 32 * i + lane_id()));
      bound = fmaxf(bound, value);
    }
    bound = warp_max(bound);
  }
  return best;
}

// greedy, temperature 0: apart, so that it is not held up by the registers of the other.
template <bool greedy>
__global__ void __launch_bounds__(threads, 1) __cluster_dims__(slices)
    sample_rows(std::int64_t vocab, float temperature, float top_p, std::uint64_t seed, Matrix logits, const std::uint64_t* streams, std::int32_t* ids) {
  __shared__ Joint<std::uint64_t> best_parts;
  const auto cluster = groups::this_cluster();
  const std::int64_t t = blockIdx.x / slices, block = blockIdx.x % slices, length = (vocab + slices - 1) / slices;
  const Slice slice{row_of<const float>(logits, t), min(block * length, vocab), min((block + 1) * length, vocab)};
  std::uint64_t best = over_cluster(over_slice<std::uint64_t>(slice, place_of), best_parts, 0);
  if constexpr (!greedy) {
    __shared__ Joint<Weight> weight_parts;
    const std::int64_t likeliest = id_of(best);
    const float most = slice.logits[likeliest];
    const std::uint64_t lowest = top_p < 1 ? nucleus(slice, most, temperature, top_p, weight_parts) : 0;
    const Draw draw{temperature, most / temperature, splitmix64(seed ^ streams[t])};
    const float bound = draw.value(most, draw.bits(likeliest));
    best = over_cluster(best_draw(slice, draw, lowest, place_of(bound, likeliest), bound), best_parts, 1);
  }
  if (block == 0 && threadIdx.x == 0) ids[t] = static_cast<std::int32_t>(id_of(best));
  cluster.sync();  // no block leaves while another reads its part
}

}  // namespace

void sample(const model_spec::Sample<std::int64_t>& op, float temperature, float top_p, std::uint64_t seed, const Matrix& logits, const std::uint64_t* streams,
            std::int32_t* ids, Stream stream) {
  assert(logits.type == DType::fp32 && logits.rows == op.tokens && logits.columns == op.vocab && op.vocab > 0);
  assert(temperature <= 0 || (streams && top_p > 0));
  if (op.tokens == 0) return;
  choose(temperature <= 0, [&](auto greedy) {
    sample_rows<greedy><<<static_cast<unsigned>(op.tokens * slices), threads, 0, stream>>>(op.vocab, temperature, top_p, seed, logits, streams, ids);
  });
  check_launch("sample");
}

}  // namespace fathom::kernels::cuda
