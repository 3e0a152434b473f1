// s = sigmoid(logits), c = s + bias; the topk largest c within the topk_group groups whose two largest c sum highest; weights from s
// (model_spec/ops/gate.h).
// Floor: 4 bytes read an expert; with few tokens latency, with many instructions. A warp has a token, and holds the numbers of up to 256 experts in
// registers if each group is a number of every lane, as in DeepSeek-V3. exp is rounded once, by way of fp64, so that choices are those of the CPU.
#include "kernels/cuda/gate.h"

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

using Op = model_spec::Gate<std::int64_t>;

constexpr unsigned warps = 4;  // one for each scheduler of a multiprocessor

// Unsigned numbers in the order of the floats; the two zeros are one. No number has key 0.
__device__ std::uint32_t key_of(float x) {
  const std::uint32_t bits = __float_as_uint(x + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ float number_of(std::uint32_t key) { return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key); }

__device__ float sigmoid(float x) { return 1.0f / (1.0f + static_cast<float>(exp(-double{x}))); }

// Which of the groups stay, a bit each: the best by score, of equal ones the first. Lane g has group g's.
__device__ unsigned best_groups(const Op& op, std::uint32_t score) {
  const int groups = static_cast<int>(op.groups), lane = static_cast<int>(lane_id());
  int better = 0;
  for (int g = 0; g < groups; ++g) {
    const std::uint32_t other = __shfl_sync(all_lanes, score, g);
    better += other > score || (other == score && g < lane);
  }
  return __ballot_sync(all_lanes, lane < groups && better < op.topk_group);
}

// The sum of the two largest of count >= 2 numbers.
__device__ float two_largest(const float* x, int count) {
  float first = fmaxf(x[0], x[1]), second = fminf(x[0], x[1]);
  for (int i = 2; i < count; ++i) {
    second = fmaxf(second, fminf(first, x[i]));
    first = fmaxf(first, x[i]);
  }
  return first + second;
}

// Minus infinity for the experts of all but the best groups. Lane g has group g.
__device__ void drop_groups(const Op& op, float* choice) {
  const int size = static_cast<int>(op.experts / op.groups), groups = static_cast<int>(op.groups), lane = static_cast<int>(lane_id());
  const std::uint32_t score = lane < groups ? key_of(two_largest(choice + lane * size, size)) : 0;
  const unsigned kept = best_groups(op, score);
  for (int e = lane; e < op.experts; e += 32)
    if (!(kept >> e / size & 1)) choice[e] = -INFINITY;
  __syncwarp();
}

// The best of a lane's own experts lane, lane + 32, ... that are not taken yet.
struct Best {
  std::uint32_t key = 0;
  unsigned expert = ~0u;
};
__device__ Best best_of(const float* choice, unsigned taken, int experts) {
  Best best;
  for (int e = static_cast<int>(lane_id()), i = 0; e < experts; e += 32, ++i) {
    const std::uint32_t key = taken >> i & 1 ? 0 : key_of(choice[e]);
    if (key > best.key) best = {key, static_cast<unsigned>(e)};
  }
  return best;
}

__global__ void __launch_bounds__(32 * warps)
    gate_tokens(Op op, float route_scale, Matrix logits, const float* bias, std::int32_t* ids, float* weights, std::int64_t stride) {
  extern __shared__ float shared[];  // [warps, 2, experts]
  const std::int64_t t = std::int64_t{blockIdx.x} * warps + threadIdx.x / 32;
  if (t >= op.tokens) return;
  const int experts = static_cast<int>(op.experts), lane = static_cast<int>(lane_id());
  float *score = shared + threadIdx.x / 32 * 2 * experts, *choice = score + experts;
  for (int e = lane; e < experts; e += 32) {
    score[e] = sigmoid(row_of<const float>(logits, t)[e]);
    choice[e] = score[e] + bias[e];
  }
  __syncwarp();
  if (op.topk_group < op.groups) drop_groups(op, choice);

  unsigned taken = 0, mine = 0;  // the lane's experts that were taken; the choice number `lane`
  float sum = 0;
  Best best = best_of(choice, taken, experts);
  for (int i = 0; i < op.topk; ++i) {
    const std::uint32_t key = __reduce_max_sync(all_lanes, best.key);
    const unsigned expert = __reduce_min_sync(all_lanes, best.key == key ? best.expert : ~0u);
    sum += score[expert];
    if (lane == i) mine = expert;
    if (expert % 32 != static_cast<unsigned>(lane)) continue;
    taken |= 1u << expert / 32;
    best = best_of(choice, taken, experts);
  }
  if (lane >= op.topk) return;
  ids[t * stride + lane] = static_cast<std::int32_t>(mine);
  weights[t * stride + lane] = score[mine] / sum * route_scale;
}

// ---- in registers: expert lane + 32 * i is the i-th of a lane, and a group the i-th of all lanes

// The sum of the two largest of a number of each lane.
__device__ float two_largest(std::uint32_t key) {
  const std::uint32_t first = __reduce_max_sync(all_lanes, key);
  const bool twice = __popc(__ballot_sync(all_lanes, key == first)) > 1;
  const std::uint32_t second = twice ? first : __reduce_max_sync(all_lanes, key == first ? 0 : key);
  return number_of(first) + number_of(second);
}

template <int own>
__device__ void drop_groups(const Op& op, std::uint32_t (&key)[own]) {
  std::uint32_t score = 0;
#pragma unroll
  for (int i = 0; i < own; ++i) {
    const std::uint32_t sum = key_of(two_largest(key[i]));
    if (lane_id() == static_cast<unsigned>(i)) score = sum;
  }
  const unsigned kept = best_groups(op, score);
#pragma unroll
  for (int i = 0; i < own; ++i)
    if (!(kept >> i & 1)) key[i] = key_of(-INFINITY);
}

// The best expert of all lanes that is left, and its score; it is left no longer.
struct Chosen {
  unsigned expert;
  float score;
};
template <int own>
__device__ Chosen take_best(const float (&score)[own], std::uint32_t (&key)[own]) {
  const auto lane = lane_id();
  std::uint32_t best = key[0];
  unsigned at = 0;
  float best_score = score[0];
#pragma unroll
  for (int i = 1; i < own; ++i)
    if (key[i] > best) best = key[i], at = i, best_score = score[i];
  const std::uint32_t most = __reduce_max_sync(all_lanes, best);
  const unsigned expert = __reduce_min_sync(all_lanes, best == most ? lane + 32 * at : ~0u);
#pragma unroll
  for (int i = 0; i < own; ++i)
    if (lane + 32 * i == expert) key[i] = 0;
  return {expert, __shfl_sync(all_lanes, best_score, expert % 32)};
}

template <int own>
__global__ void __launch_bounds__(32 * warps)
    gate_in_registers(Op op, float route_scale, Matrix logits, const float* bias, std::int32_t* ids, float* weights, std::int64_t stride) {
  const std::int64_t t = std::int64_t{blockIdx.x} * warps + threadIdx.x / 32;
  if (t >= op.tokens) return;
  const auto lane = lane_id();
  float score[own];
  std::uint32_t key[own];
#pragma unroll
  for (int i = 0; i < own; ++i) {
    score[i] = sigmoid(row_of<const float>(logits, t)[lane + 32 * i]);
    key[i] = key_of(score[i] + bias[lane + 32 * i]);
  }
  if (op.topk_group < op.groups) drop_groups(op, key);

  Chosen mine{};  // the choice number `lane`
  float sum = 0;
  for (unsigned n = 0; n < op.topk; ++n) {
    const Chosen next = take_best(score, key);
    sum += next.score;
    if (lane == n) mine = next;
  }
  if (lane >= op.topk) return;
  ids[t * stride + lane] = static_cast<std::int32_t>(mine.expert);
  weights[t * stride + lane] = mine.score / sum * route_scale;
}

}  // namespace

void gate(const Op& op, float route_scale, const Matrix& logits, const float* bias, std::int32_t* ids, float* weights, std::int64_t stride, Stream stream) {
  assert(logits.type == DType::fp32 && logits.rows == op.tokens && logits.columns == op.experts);
  assert(op.experts <= 1024 && op.groups <= 32 && op.topk <= 32 && op.topk <= op.experts && op.topk <= stride);
  assert(op.experts % op.groups == 0 && op.experts / op.groups >= 2);
  if (op.tokens == 0) return;
  const auto blocks = static_cast<unsigned>((op.tokens + warps - 1) / warps);
  if (op.experts == 256 && (op.groups == 8 || op.topk_group == op.groups)) {
    gate_in_registers<8><<<blocks, 32 * warps, 0, stream>>>(op, route_scale, logits, bias, ids, weights, stride);
    return check_launch("gate");
  }
  const auto bytes = static_cast<std::size_t>(op.experts) * 2 * warps * sizeof(float);  // at most 32 KiB
  gate_tokens<<<blocks, 32 * warps, bytes, stream>>>(op, route_scale, logits, bias, ids, weights, stride);
  check_launch("gate");
}

}  // namespace fathom::kernels::cuda
