#include "executor/cuda/step_inputs.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "executor/rope.h"
#include "model_spec/memory.h"

namespace fathom::executor {

using namespace model_spec;

namespace {

std::int32_t slot_of(std::span<const std::int32_t> pages, std::int64_t position) {
  return pages[static_cast<std::size_t>(position / page_tokens)] * static_cast<std::int32_t>(page_tokens) + static_cast<std::int32_t>(position % page_tokens);
}

// visit(sequence, group), in order.
template <class Visit>
void each_sequence(const Batch& batch, Visit visit) {
  std::size_t s = 0;
  for (std::size_t g = 0; g < batch.groups.size(); ++g)
    for (std::int64_t i = 0; i < batch.groups[g].sequences; ++i) visit(s++, g);
}

constexpr std::array<PathSet, 2> copied_paths{mha_paths, bit(Path::sparse_prefill)};  // by StepInputs::Copied

}  // namespace

bool StepInputs::copies_context(const std::array<Path, 2>& paths) { return (bit(paths[0]) | bit(paths[1])) & (mha_paths | bit(Path::sparse_prefill)); }

std::int64_t StepInputs::longest(const Batch& batch) {
  std::int64_t most = 0;
  for (const auto& g : batch.groups) most = std::max(most, g.cached_tokens + g.new_tokens);
  const auto power = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(most, 1))));
  const auto step = std::max<std::int64_t>(power / 8, page_tokens);
  return (most + step - 1) / step * step;
}

template <class T>
std::size_t StepInputs::add(std::span<const T> list) {
  const auto offset = (image_.size() + 15) / 16 * 16;
  image_.resize(offset + list.size_bytes());
  if (!list.empty()) std::memcpy(&image_[offset], list.data(), list.size_bytes());
  return offset;
}

bool StepInputs::upload(const Plan& plan, const BoundPlan& bound, const StepInput& input, const std::array<RowMap, 2>& maps, cudaStream_t stream) {
  using kernels::cuda::check;
  image_.clear();
  tokens_ = std::ssize(input.ids), sequences_ = std::ssize(input.pages);
  max_visible_ = longest(input.batch), max_pages_ = max_visible_ / page_tokens;
  const auto rope = rope_table(plan.model, input.positions);
  ids_ = add<std::int32_t>(input.ids);
  sampled_ = add<std::int32_t>(input.sampled);
  drafted_ = add<std::int32_t>(input.drafted);
  streams_ = add<std::uint64_t>(input.random_streams);
  cosines_ = add<float>(rope.cosines);
  sines_ = add<float>(rope.sines);
  add_positions(input);
  add_first_keys(input, maps);
  add_known(input);
  add_contexts(bound, input);
  host_.reserve(image_.size());
  const bool moved = device_.reserve(image_.size() + image_.size() / 2);
  std::memcpy(host_.get(), image_.data(), image_.size());
  check(cudaMemcpyAsync(device_.get(), host_.get(), image_.size(), cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
  return moved;
}

// Places in the cache of every token, and the pages of every sequence.
void StepInputs::add_positions(const StepInput& input) {
  std::vector<std::int32_t> slots, sequence, visible, pages;
  each_sequence(input.batch, [&](std::size_t s, std::size_t g) {
    const auto& group = input.batch.groups[g];
    const auto& own = input.pages[s];
    pages.insert(pages.end(), own.begin(), own.end());
    pages.resize((s + 1) * static_cast<std::size_t>(max_pages_), 0);
    for (auto p = group.cached_tokens; p < group.cached_tokens + group.new_tokens; ++p) {
      slots.push_back(slot_of(own, p));
      sequence.push_back(static_cast<std::int32_t>(s));
      visible.push_back(static_cast<std::int32_t>(p + 1));
    }
  });
  slots_ = add<std::int32_t>(slots);
  sequence_ = add<std::int32_t>(sequence);
  visible_ = add<std::int32_t>(visible);
  pages_ = add<std::int32_t>(pages);
}

// Slots of every position, cached and new, of every sequence in turn, from the first group on whose context is copied. Those before it are long, and
// grow while the step stays the same.
void StepInputs::add_contexts(const BoundPlan& bound, const StepInput& input) {
  std::vector<std::int32_t> slots;
  bool copied = false;
  first_context_ = 0;
  each_sequence(input.batch, [&](std::size_t s, std::size_t g) {
    const auto& group = input.batch.groups[g];
    copied = copied || copies_context(bound.paths[g]);
    if (!copied) first_context_ += group.cached_tokens + group.new_tokens;
    for (std::int64_t p = 0; copied && p < group.cached_tokens + group.new_tokens; ++p) slots.push_back(slot_of(input.pages[s], p));
  });
  context_slots_ = add<std::int32_t>(slots);
}

void StepInputs::add_first_keys(const StepInput& input, const std::array<RowMap, 2>& maps) {
  for (std::size_t kind = 0; kind < maps.size(); ++kind)
    for (std::size_t paths = 0; paths < copied_paths.size(); ++paths) {
      const auto start = maps[kind].context(copied_paths[paths]).first;
      std::vector<std::int32_t> first;
      std::size_t group = 0;
      std::int64_t in_group = 0;
      each_sequence(input.batch, [&](std::size_t, std::size_t g) {
        in_group = g == group ? in_group : 0;
        group = g;
        const auto& sizes = input.batch.groups[g];
        first.push_back(static_cast<std::int32_t>(maps[kind].context_of(g).first - start + in_group++ * (sizes.cached_tokens + sizes.new_tokens)));
      });
      first_keys_[kind][paths] = add<std::int32_t>(first);
    }
}

void StepInputs::add_known(const StepInput& input) {
  std::vector<std::int32_t> sampled_at(input.ids.size(), -1), first{0};
  for (std::size_t i = 0; i < input.sampled.size(); ++i) sampled_at[static_cast<std::size_t>(input.sampled[i])] = static_cast<std::int32_t>(i);
  each_sequence(input.batch, [&](std::size_t, std::size_t g) { first.push_back(first.back() + static_cast<std::int32_t>(input.batch.groups[g].new_tokens)); });
  next_ids_ = add<std::int32_t>(input.next_ids);
  sampled_at_ = add<std::int32_t>(sampled_at);
  first_rows_ = add<std::int32_t>(first);
}

kernels::cuda::Context StepInputs::context(std::int64_t first) const {
  return {at<std::int32_t>(sequence_) + first, at<std::int32_t>(visible_) + first, at<std::int32_t>(pages_), max_pages_, max_visible_};
}

kernels::cuda::KnownTokens StepInputs::known() const {
  return {ids(), at<std::int32_t>(next_ids_), at<std::int32_t>(sampled_at_), at<std::int32_t>(first_rows_), tokens_, sequences_};
}

}  // namespace fathom::executor
