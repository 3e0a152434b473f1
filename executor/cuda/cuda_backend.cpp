#include "executor/cuda/cuda_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "executor/cuda/cuda_steps.h"
#include "executor/cuda/devices.h"
#include "executor/cuda/fill.h"
#include "executor/held.h"
#include "kernels/cpu/codec.h"
#include "kernels/cuda/drafts.h"
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/top_k.h"
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

// Activations, index scores and workspaces of the largest step: a chunk of a prompt behind as much as the caches hold.
double step_bytes(const Plan& plan, const Place& place, Numerics numerics, std::int64_t pages) {
  const auto context = std::min(pages * page_tokens, plan.model.max_position_embeddings), fresh = std::min(plan.policy.chunked_prefill_tokens, context);
  const Batch batch{.groups = {{1, fresh, context - fresh}}, .sampled = 1, .dp_tokens = {}};
  BoundPlan bound;
  bind(plan, static_cast<std::size_t>(place.stage), batch, bound);
  const auto longest = StepInputs::longest(batch);
  const double scores = plan.model.indexer ? 4.0 * static_cast<double>(fresh) * static_cast<double>(longest) : 0;
  const auto workspace = std::max(kernels::cuda::mha_workspace(fresh, longest),
                                  kernels::cuda::attention_workspace(fresh, plan.model.num_attention_heads, plan.model.kv_lora_rank));
  return activation_bytes(bound, plan.model, numerics) + scores + static_cast<double>(workspace);
}

// A device that the kernels run on, with enough memory.
void require_device(const Plan& plan, const Place& place, Numerics numerics, std::int64_t pages) {
  require_cuda();
  const double weights = device_weight_bytes(plan, place, numerics), step = step_bytes(plan, place, numerics, pages);
  double caches = 0;
  for (const auto& run : cached_layers(plan)) {
    const auto shape = cache_shape(plan, numerics, run.attention, pages);
    caches += static_cast<double>(run.count) * (shape.latent_bytes + shape.index_bytes);
  }
  std::size_t available = 0, all = 0;
  check(cudaMemGetInfo(&available, &all), "cudaMemGetInfo");
  const double needed = weights + caches + step;
  if (needed <= static_cast<double>(available)) return;
  throw Error(Failure::device, fmt::format("needs {:.1f} GB of device memory (weights {:.1f}, caches {:.1f}, activations {:.1f}), {:.1f} GB are free",
                                           needed / 1e9, weights / 1e9, caches / 1e9, step / 1e9, static_cast<double>(available) / 1e9));
}

}  // namespace

CudaBackend::CudaBackend(const Plan& plan, const Place& place, Numerics numerics, const WeightSource& source, const LoadProgress& progress, std::int64_t pages)
    : plan_(plan), numerics_(numerics), weights_((require_device(plan, place, numerics, pages), plan), place, numerics, source, progress) {
  first_layer_ = plan.stages[static_cast<std::size_t>(place.stage)].layers.first;
  const auto& m = plan.model;
  latent_chain_ = plan.policy.fused && m.q_lora_rank % 8 == 0 && kernels::cuda::suits_latent_chain(m.kv_lora_rank, m.qk_rope_head_dim);
  index_chain_ = plan.policy.fused && m.q_lora_rank % 8 == 0 && m.indexer && kernels::cuda::suits_index_chain(m.indexer->index_head_dim, m.qk_rope_head_dim);
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  make_caches(pages);
}

CudaBackend::~CudaBackend() {
  capture_.reset();
  if (stream_) cudaStreamSynchronize(stream_);
  graphs_.clear();
  if (stream_) cudaStreamDestroy(stream_);
}

void CudaBackend::make_caches(std::int64_t pages) {
  const auto& m = plan_.model;
  pages_ = pages;
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

void CudaBackend::fill_caches(std::uint64_t seed) {
  for (auto& layer : caches_) {
    fill(layer.latent, pages_, seed++, stream_);
    if (layer.index.data) fill(layer.index, pages_, seed++, stream_);
  }
}

void CudaBackend::begin(const BoundPlan& bound, const StepInput& input) {
  capture_.reset();
  moved(!std::exchange(finished_, false));  // what a step that failed had to do with memory is not known
  at_.begin(bound, input);
  bound_ = &bound;
  output_ = {};
  loads_.clear();
  unpermute_.reset();
  steps_run_ = 0;
  moved(inputs_.upload(plan_, bound, input, at_.maps(), stream_));
  make_results();
  choose_how_to_run();
  check(cudaEventRecord(started_.get(), stream_), "cudaEventRecord");
  if (graph_ && !graph_->graph) capture_.emplace(stream_);
  if (!graph_ || capture_) record_event();
}

void CudaBackend::make_results() {
  const auto tokens = std::ssize(at_.input().ids);
  results_.load_log = 0;
  results_.sampled = (num_hidden_layers(plan_.model) + 1) * (plan_.model.n_routed_experts + 1);
  results_.drafts = results_.sampled + std::ssize(at_.input().sampled);
  results_.end = results_.drafts + bound_->sizes[0].of(Rows::drafted, all_paths);
  const auto bytes = [](I integers) { return static_cast<std::size_t>(integers) * sizeof(std::int32_t) + 16; };
  moved(results_.device.reserve(bytes(results_.end)));
  results_.host.reserve(bytes(results_.end));
  moved(next_ids_.reserve(bytes(tokens)));
  moved(confirmed_.reserve(bytes(std::ssize(at_.input().pages))));
  const auto capacity = tokens * plan_.model.num_experts_per_tok;
  moved(expert_source_.reserve(bytes(capacity)));
  moved(expert_row_.reserve(bytes(capacity)));
}

// A step that somebody looks into, or that takes others' choices, waits for the host between its kernels. All others are captured when they come a
// second time: the first time memory takes its size and cuBLASLt chooses.
void CudaBackend::choose_how_to_run() {
  const auto& input = at_.input();
  graph_ = input.watched || input.forced ? nullptr : graphs_.find(graph_key(*bound_, input));
}

// The copies of a MoE layer's counts, and the records that they complete.
void CudaBackend::note_load(BoundStep& step) {
  if (std::holds_alternative<Permute<I>>(step.op)) loads_.push_back({.offset = std::ssize(loads_) * (plan_.model.n_routed_experts + 1), .steps = {}});
  const bool counts = std::visit(
      [](const auto& op) {
        return requires { op.rows; };
      },
      step.op);
  if (counts && !loads_.empty() && step.step->rows != Rows::tokens) loads_.back().steps.push_back(&step);
}

void CudaBackend::record_event() {
  if (!at_.input().timed) return;
  auto& events = capture_ ? graph_->events : events_;
  while (events.size() <= steps_run_) events.push_back(make_event());
  check(cudaEventRecordWithFlags(events[steps_run_].get(), stream_, capture_ ? cudaEventRecordExternal : cudaEventRecordDefault), "cudaEventRecord");
}

void CudaBackend::enter(const BoundBlock& bound) {
  const auto& block = *bound.block;
  at_.enter(block);
  if (graph_ && !capture_) return;
  block_memory_ = block_memory(block, bound_->sizes[static_cast<std::size_t>(block.attention)], plan_.model, numerics_);
  moved(activations_.reserve(static_cast<std::size_t>(block_memory_.bytes)));
  for (std::size_t i = 0; i < block.activations.size(); ++i) {
    if (!block.activations[i].persists) continue;
    const auto& shape = block_memory_.places[i].shape;
    auto& memory = persistent_[block.activations[i].name];
    if (memory.view().rows != shape.rows || memory.view().columns != shape.columns) moved(memory.shape(shape.type, shape.rows, shape.columns));
  }
  if (at_.layer() == num_hidden_layers(plan_.model))
    kernels::cuda::settle_drafts(inputs_.known(), results_.at(results_.sampled), next_ids_.as<std::int32_t>(),
                                 at_.input().drafted.empty() ? confirmed_.as<std::int32_t>() : nullptr, stream_);
}

kernels::cuda::Matrix CudaBackend::buffer(std::uint8_t activation) {
  const auto id = at_.standing_for(activation);
  if (at_.activation(id).persists) return persistent_[at_.activation(id).name].view();
  const auto& [shape, offset, stride] = block_memory_.places[id];
  if (offset < 0) return {shape.type, shape.rows, shape.columns, shape.columns};
  auto m = matrix_at(shape.type, shape.rows, shape.columns, activations_.as<std::byte>() + offset);
  m.stride = stride;
  return m;
}

CudaBackend::Gathered CudaBackend::gathered_rows() const {
  const auto& input = at_.input();
  if (at_.step().step->rows == Rows::sampled) return {inputs_.sampled(), std::ssize(input.sampled)};
  return {input.drafted.empty() ? confirmed_.as<std::int32_t>() : inputs_.drafted(), results_.end - results_.drafts};
}

// The rows of an operand. Tokens that are gathered are copied first, by the embedding's kernel: their numbers are bf16.
kernels::cuda::Matrix CudaBackend::view(const Operand& operand, I heads) {
  auto m = buffer(operand.id);
  const auto rows = at_.rows(operand);
  const auto all = at_.rows_of(at_.activation(at_.standing_for(operand.id)));
  const auto per_row = all > 0 ? m.rows / all : 1;
  if (rows.gathers) {
    const auto [list, count] = gathered_rows();
    moved(gathered_.shape(m.type, count, m.columns));
    kernels::cuda::embedding({.tokens = count, .hidden = m.columns, .vocab = m.rows}, 0, list, m, gathered_.view(), stream_);
    m = gathered_.view();
  } else if (all > 0) {
    m = rows_of(m, rows.range.first * per_row, rows.range.count * per_row);
  }
  if (heads > per_row) m = by_head(m, heads / per_row);
  return operand.columns > 0 && operand.columns < m.columns ? columns_of(m, operand.first, operand.columns) : m;
}

bool CudaBackend::comes_first() const {
  for (std::size_t g = 0; g < at_.step().group; ++g)
    if (at_.map().on(g, at_.step().step->paths)) return false;
  return true;
}

CudaBackend::I CudaBackend::most_new_tokens() const {
  I most = 1;
  const auto& groups = at_.input().batch.groups;
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (at_.map().on(g, at_.step().step->paths)) most = std::max(most, groups[g].new_tokens);
  return most;
}

// The activation holds the contexts of all MHA paths, or of sparse_prefill.
const std::int32_t* CudaBackend::first_keys() const {
  using Copied = StepInputs::Copied;
  return inputs_.first_keys(at_.block().attention, at_.step().step->paths & mha_paths ? Copied::expanded : Copied::gathered);
}

kernels::cuda::Workspace CudaBackend::workspace(I bytes) {
  moved(workspace_.reserve(static_cast<std::size_t>(bytes) + 16));
  return {workspace_.get(), bytes};
}

void CudaBackend::run(BoundStep& step) {
  note_load(step);
  ++steps_run_;
  if (graph_ && !capture_) return;
  at_.start(step);
  std::visit(
      [&](const auto& op) {
        auto as_held = held(numerics_, op);
        run_op(as_held);
      },
      step.op);
  record_event();
}

// Completes the records with the loads that came.
void CudaBackend::annotate() {
  const auto experts = plan_.model.n_routed_experts;
  for (const auto& load : loads_) {
    const auto offsets = results_.fetched(results_.load_log + load.offset, experts + 1);
    double active = 0, largest = 0;
    for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
      const double rows = offsets[e + 1] - offsets[e];
      active += rows > 0;
      largest = std::max(largest, rows);
    }
    for (auto* step : load.steps)
      std::visit(
          [&](auto& op) {
            if constexpr (requires { op.active; }) op.active = active, op.largest = largest;
            if constexpr (requires { op.rows; }) op.rows = static_cast<double>(offsets.back());
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
  if (capture_) {
    graph_->graph = capture_->take();
    capture_.reset();
  }
  if (graph_) check(cudaGraphLaunch(graph_->graph.get(), stream_), "cudaGraphLaunch");
  check(cudaEventRecord(done_.get(), stream_), "cudaEventRecord");
  const auto bytes = static_cast<std::size_t>(results_.end) * sizeof(std::int32_t);
  check(cudaMemcpyAsync(results_.host.get(), results_.device.get(), bytes, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream_), "the step");
  annotate();
  const auto copy = [&](I first, I last) {
    const auto ids = results_.fetched(first, last - first);
    return std::vector<std::int32_t>(ids.begin(), ids.end());
  };
  output_.sampled = copy(results_.sampled, results_.drafts);
  if (plan_.policy.mtp_depth > 0) output_.drafts = copy(results_.drafts, results_.end);
  output_.device_seconds = seconds_between(started_, done_);
  output_.replayed = graph_ != nullptr;
  const auto& events = graph_ ? graph_->events : events_;
  for (std::size_t i = 0; at_.input().timed && i < steps_run_; ++i) output_.step_seconds.push_back(seconds_between(events[i], events[i + 1]));
  finished_ = true;
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
  auto t = host(buffer(static_cast<std::uint8_t>(found - all.begin())));
  if (found->rows == Rows::path) t.first_token = at_.map().tokens(found->paths).first;
  return t;
}

std::optional<std::string> check_cuda(const Plan& plan, Numerics numerics) {
  if (gpus(plan.layout) > 1) return fmt::format("several GPUs are not built yet: {} ranks", gpus(plan.layout));
  if (numerics == Numerics::exact) return "exact arithmetic runs on the CPU: --numerics bf16 or fp8";
  if (plan.model.indexer && plan.model.indexer->index_topk > kernels::cuda::most_topk)
    return fmt::format("index_topk is {}: the kernel on a GPU chooses up to {}", plan.model.indexer->index_topk, kernels::cuda::most_topk);
  for (const auto& t : tensor_table(plan.model))
    if (has_scales(t.storage) && t.storage != DType::fp8_block && numerics == Numerics::fp8)
      return fmt::format("weights stored as {} run on a GPU in --numerics bf16 only", name_of(t.storage));
  return std::nullopt;
}

std::unique_ptr<Backend> make_cuda_backend(const Plan& plan, const Place& place, Numerics numerics, const WeightSource& source, const LoadProgress& progress,
                                           std::int64_t pages) {
  return std::make_unique<CudaBackend>(plan, place, numerics, source, progress, pages);
}

void fill_caches(Backend& backend, std::uint64_t seed) { dynamic_cast<CudaBackend&>(backend).fill_caches(seed); }

}  // namespace fathom::executor
