#include "executor/cuda/cuda_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "executor/cuda/cuda_steps.h"
#include "executor/cuda/devices.h"
#include "executor/held.h"
#include "kernels/cpu/codec.h"
#include "kernels/cuda/embedding.h"
#include "model_spec/error.h"

namespace fathom::executor {

using namespace model_spec;
using kernels::cuda::check;

namespace {

// What a layer's caches are held in, and their bytes.
struct CacheShape {
  CacheFormat latent = CacheFormat::fp8;
  DType index = DType::fp8_row;
  double latent_bytes = 0, index_bytes = 0;
};
CacheShape cache_shape(const Plan& plan, Numerics numerics, Attention attention, std::int64_t pages) {
  const auto& m = plan.model;
  const bool fp8 = numerics == Numerics::fp8;
  const auto tokens = static_cast<double>(pages * page_tokens);
  CacheShape s{.latent = fp8 ? plan.policy.cache : CacheFormat::bf16, .index = fp8 ? DType::fp8_row : DType::bf16};
  s.latent_bytes = latent_cache_bytes(s.latent, tokens, static_cast<double>(m.kv_lora_rank), static_cast<double>(m.qk_rope_head_dim));
  if (attention != Attention::mla_sparse) return s;
  const auto dims = static_cast<double>(m.indexer->index_head_dim);
  s.index_bytes = fp8 ? index_cache_bytes(tokens, dims) : 2 * tokens * dims;
  return s;
}

std::vector<LayerRun> cached_layers(const Plan& plan) {
  auto runs = layer_runs(plan.model);
  if (plan.policy.mtp_depth > 0) runs.push_back(mtp_layer(plan.model));
  return runs;
}

// A device that the kernels run on, with enough memory.
void require_device(const Plan& plan, const Place& place, Numerics numerics, std::int64_t pages) {
  if (const auto fault = cuda_fault()) throw Error(Failure::device, fmt::format("{}: {}", fault->cause, fault->remedy));
  const double weights = device_weight_bytes(plan, place, numerics);
  double caches = 0;
  for (const auto& run : cached_layers(plan)) {
    const auto shape = cache_shape(plan, numerics, run.attention, pages);
    caches += static_cast<double>(run.count) * (shape.latent_bytes + shape.index_bytes);
  }
  std::size_t available = 0, all = 0;
  check(cudaMemGetInfo(&available, &all), "cudaMemGetInfo");
  if (weights + caches <= static_cast<double>(available)) return;
  throw Error(Failure::device, fmt::format("needs {:.1f} GB of device memory (weights {:.1f}, caches {:.1f}), {:.1f} GB are free", (weights + caches) / 1e9,
                                           weights / 1e9, caches / 1e9, static_cast<double>(available) / 1e9));
}

}  // namespace

CudaBackend::CudaBackend(const Plan& plan, const Place& place, Numerics numerics, const WeightSource& source, const LoadProgress& progress, std::int64_t pages)
    : plan_(plan), numerics_(numerics), weights_((require_device(plan, place, numerics, pages), plan), place, numerics, source, progress) {
  first_layer_ = plan.stages[static_cast<std::size_t>(place.stage)].layers.first;
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  make_caches(pages);
}

CudaBackend::~CudaBackend() {
  for (const auto event : events_) cudaEventDestroy(event);
  if (stream_) cudaStreamDestroy(stream_);
}

void CudaBackend::make_caches(std::int64_t pages) {
  const auto& m = plan_.model;
  for (const auto& run : cached_layers(plan_))
    for (std::int64_t i = 0; i < run.count; ++i) {
      const auto shape = cache_shape(plan_, numerics_, run.attention, pages);
      auto& layer = caches_.emplace_back();
      layer.latent_memory.reserve(static_cast<std::size_t>(shape.latent_bytes));
      layer.latent = {shape.latent, m.kv_lora_rank, m.qk_rope_head_dim, layer.latent_memory.get()};
      if (run.attention != Attention::mla_sparse) continue;
      layer.index_memory.reserve(static_cast<std::size_t>(shape.index_bytes));
      layer.index = {shape.index, m.indexer->index_head_dim, layer.index_memory.get()};
    }
}

void CudaBackend::begin(const BoundPlan& bound, const StepInput& input) {
  at_.begin(bound, input);
  output_ = {};
  loads_.clear();
  steps_run_ = 0;
  upload_tokens();
  load_log_.reserve(static_cast<std::size_t>((num_hidden_layers(plan_.model) + 1) * (plan_.model.n_routed_experts + 1)));
}

// Ids, positions and places in the cache of every token, and the pages of every sequence.
void CudaBackend::upload_tokens() {
  const auto& input = at_.input();
  std::vector<std::int32_t> slots, sequence, visible, pages;
  max_pages_ = 0, max_visible_ = 0;
  for (const auto& p : input.pages) max_pages_ = std::max(max_pages_, static_cast<I>(p.size()));
  std::int32_t s = 0;
  for (const auto& group : input.batch.groups)
    for (I i = 0; i < group.sequences; ++i, ++s) {
      const auto& own = input.pages[static_cast<std::size_t>(s)];
      pages.insert(pages.end(), own.begin(), own.end());
      pages.resize(static_cast<std::size_t>((s + 1) * max_pages_), 0);
      for (I p = group.cached_tokens; p < group.cached_tokens + group.new_tokens; ++p) {
        slots.push_back(own[static_cast<std::size_t>(p / page_tokens)] * page_tokens + static_cast<std::int32_t>(p % page_tokens));
        sequence.push_back(s);
        visible.push_back(static_cast<std::int32_t>(p + 1));
      }
      max_visible_ = std::max(max_visible_, group.cached_tokens + group.new_tokens);
    }
  const auto rope = rope_table(plan_.model, input.positions);
  ids_.upload(input.ids, stream_);
  slots_.upload(slots, stream_);
  sequence_.upload(sequence, stream_);
  visible_.upload(visible, stream_);
  pages_.upload(pages, stream_);
  cosines_.upload(rope.cosines, stream_);
  sines_.upload(rope.sines, stream_);
  streams_.upload(input.random_streams, stream_);
  context_slots_ready_ = false;
  first_keys_.clear();
}

// Slots of every position, cached and new, of every sequence in turn.
void CudaBackend::upload_contexts() {
  std::vector<std::int32_t> slots;
  auto pages = at_.input().pages.begin();
  for (const auto& group : at_.input().batch.groups)
    for (I i = 0; i < group.sequences; ++i, ++pages)
      for (I p = 0; p < group.cached_tokens + group.new_tokens; ++p)
        slots.push_back((*pages)[static_cast<std::size_t>(p / page_tokens)] * page_tokens + static_cast<std::int32_t>(p % page_tokens));
  context_slots_.upload(slots, stream_);
  check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  context_slots_ready_ = true;
}

void CudaBackend::enter(const BoundBlock& bound) {
  const auto& block = *bound.block;
  at_.enter(block);
  if (at_.layer() == num_hidden_layers(plan_.model)) at_.sampled(output_.sampled);
  while (buffers_.size() < block.activations.size()) buffers_.emplace_back();
  for (std::size_t i = 0; i < block.activations.size(); ++i) {
    const auto& a = block.activations[i];
    const auto rows = at_.rows_of(a);
    auto& memory = a.persists ? persistent_[a.name] : buffers_[i];
    if (a.persists && memory.view().rows == rows && memory.view().columns == a.columns) continue;
    memory.shape(held(numerics_, a.type), rows, a.columns);
  }
}

DeviceBuffer& CudaBackend::buffer(std::uint8_t activation) {
  const auto id = at_.standing_for(activation);
  const auto& a = at_.activation(id);
  return a.persists ? persistent_[a.name] : buffers_[id];
}

// The rows of an operand. Tokens that are gathered are copied first, by the embedding's kernel: their numbers are bf16.
kernels::cuda::Matrix CudaBackend::view(const Operand& operand, I heads) {
  auto m = buffer(operand.id).view();
  const auto rows = at_.rows(operand);
  const auto all = at_.rows_of(at_.activation(at_.standing_for(operand.id)));
  const auto per_row = all > 0 ? m.rows / all : 1;
  if (rows.gathers) {
    rows_.upload(rows.gathered, stream_);
    auto& copy = gathered_;
    copy.shape(m.type, std::ssize(rows.gathered), m.columns);
    kernels::cuda::embedding({.tokens = std::ssize(rows.gathered), .hidden = m.columns, .vocab = m.rows}, 0, rows_.data(), m, copy.view(), stream_);
    m = copy.view();
  } else if (all > 0) {
    m = rows_of(m, rows.range.first * per_row, rows.range.count * per_row);
  }
  if (heads > per_row) m = by_head(m, heads / per_row);
  return operand.columns > 0 && operand.columns < m.columns ? columns_of(m, operand.first, operand.columns) : m;
}

kernels::cuda::Matrix CudaBackend::shape(const Operand& operand, I rows, I columns) {
  auto& memory = buffer(operand.id);
  memory.shape(held(numerics_, at_.activation(operand.id).type), rows, columns);
  return memory.view();
}

bool CudaBackend::comes_first() const {
  for (std::size_t g = 0; g < at_.step().group; ++g)
    if (at_.map().on(g, at_.step().step->paths)) return false;
  return true;
}

kernels::cuda::Context CudaBackend::context() const {
  const auto first = tokens().first;
  return {sequence_.data() + first, visible_.data() + first, pages_.data(), max_pages_, max_visible_};
}

// Where the keys of each sequence begin in an activation that holds the contexts of these paths' groups. The activation holds those of all MHA
// paths, or of sparse_prefill.
const std::int32_t* CudaBackend::first_keys() const {
  const auto paths = at_.step().step->paths;
  const PathSet held_paths = paths & mha_paths ? mha_paths : paths;
  auto& list = first_keys_[{static_cast<int>(at_.block().attention), held_paths}];
  if (list.data()) return list.data();
  const auto start = at_.map().context(held_paths).first;
  std::vector<std::int32_t> first;
  std::size_t g = 0;
  for (const auto& group : at_.input().batch.groups) {
    const auto range = at_.map().context_of(g++);
    for (I s = 0; s < group.sequences; ++s) first.push_back(static_cast<std::int32_t>(range.first - start + s * (group.cached_tokens + group.new_tokens)));
  }
  list.upload(first, stream_);
  check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  return list.data();
}

kernels::cuda::Workspace CudaBackend::workspace(I bytes) {
  workspace_.reserve(static_cast<std::size_t>(bytes) + 16);
  return {workspace_.get(), bytes};
}

void CudaBackend::run(BoundStep& step) {
  at_.start(step);
  running_ = &step;
  while (events_.size() < steps_run_ + 2) check(cudaEventCreate(&events_.emplace_back()), "cudaEventCreate");
  if (steps_run_ == 0) check(cudaEventRecord(events_[0], stream_), "cudaEventRecord");
  std::visit(
      [&](const auto& op) {
        auto as_held = held(numerics_, op);
        run_op(as_held);
      },
      step.op);
  check(cudaEventRecord(events_[++steps_run_], stream_), "cudaEventRecord");
}

// Completes the records with the loads that came.
void CudaBackend::annotate() {
  const auto experts = plan_.model.n_routed_experts;
  const auto log = download(load_log_.data(), loads_.size() * static_cast<std::size_t>(experts + 1), stream_);
  for (const auto& load : loads_) {
    const auto* offsets = log.data() + load.offset;
    double active = 0, largest = 0;
    for (I e = 0; e < experts; ++e) {
      const double rows = offsets[e + 1] - offsets[e];
      active += rows > 0;
      largest = std::max(largest, rows);
    }
    for (auto* step : load.steps)
      std::visit(
          [&](auto& op) {
            if constexpr (requires { op.active; }) op.active = active, op.largest = largest;
            if constexpr (requires { op.rows; }) op.rows = static_cast<double>(offsets[experts]);
            if constexpr (requires {
                            op.rows;
                            op.tokens;
                            op.hidden;
                          })
              op.tokens = static_cast<double>(at_.input().batch.tokens());
          },
          step->op);
  }
}

StepOutput CudaBackend::finish() {
  check(cudaStreamSynchronize(stream_), "the step");
  if (!loads_.empty()) annotate();
  for (std::size_t i = 0; i < steps_run_; ++i) {
    float ms = 0;
    check(cudaEventElapsedTime(&ms, events_[i], events_[i + 1]), "cudaEventElapsedTime");
    output_.step_seconds.push_back(ms * 1e-3);
  }
  return std::move(output_);
}

HostTensor CudaBackend::host(const Matrix& m) {
  HostTensor t{.rows = m.rows, .columns = m.columns, .first_token = 0, .numbers = {}, .integers = {}};
  const auto count = static_cast<std::size_t>(m.rows * m.stride);
  const auto numbers = [&](const auto& raw, const auto& decode) {
    for (I r = 0; r < m.rows; ++r)
      for (I c = 0; c < m.columns; ++c) t.numbers.push_back(decode(raw[static_cast<std::size_t>(r * m.stride + c)], r, c));
  };
  if (m.type == DType::int32) t.integers = download(static_cast<const std::int32_t*>(m.data), count, stream_);
  if (m.type == DType::fp32) numbers(download(static_cast<const float*>(m.data), count, stream_), [](float x, I, I) { return x; });
  if (m.type == DType::bf16)
    numbers(download(static_cast<const std::uint16_t*>(m.data), count, stream_), [](std::uint16_t x, I, I) { return kernels::cpu::decode_bf16(x); });
  if (m.type == DType::fp8_row) {
    const auto scales = download(m.scales, static_cast<std::size_t>(m.scale_stride * ((m.columns + scale_block - 1) / scale_block)), stream_);
    numbers(download(static_cast<const std::uint8_t*>(m.data), count, stream_),
            [&](std::uint8_t x, I r, I c) { return kernels::cpu::decode_e4m3(x) * scales[static_cast<std::size_t>(c / scale_block * m.scale_stride + r)]; });
  }
  return t;
}

HostTensor CudaBackend::read(std::string_view activation) {
  if (activation == "index_logits") {
    auto t = host(scores_.view());
    t.first_token = scored_.first;
    return t;
  }
  const auto& all = at_.block().activations;
  const auto found = std::ranges::find(all, activation, [](const Activation& a) { return std::string_view(a.name); });
  if (found == all.end()) throw Error(Failure::usage, fmt::format("block {} has no activation {}", at_.block().name, activation));
  auto t = host(buffer(static_cast<std::uint8_t>(found - all.begin())).view());
  if (found->rows == Rows::path) t.first_token = at_.map().tokens(found->paths).first;
  return t;
}

std::optional<std::string> check_cuda(const Plan& plan, Numerics numerics) {
  if (gpus(plan.layout) > 1) return fmt::format("several GPUs are not built yet: {} ranks", gpus(plan.layout));
  if (numerics == Numerics::exact) return "exact arithmetic runs on the CPU: --numerics bf16 or fp8";
  for (const auto& t : tensor_table(plan.model))
    if (has_scales(t.storage) && t.storage != DType::fp8_block && numerics == Numerics::fp8)
      return fmt::format("weights stored as {} run on a GPU in --numerics bf16 only", name_of(t.storage));
  return std::nullopt;
}

std::unique_ptr<Backend> make_cuda_backend(const Plan& plan, const Place& place, Numerics numerics, const WeightSource& source, const LoadProgress& progress,
                                           std::int64_t pages) {
  return std::make_unique<CudaBackend>(plan, place, numerics, source, progress, pages);
}

}  // namespace fathom::executor
