// What a step takes from the host: one piece of pinned memory, copied to one piece of device memory before the first kernel.
#pragma once

#include <array>

#include "executor/backend.h"
#include "executor/cuda/device_memory.h"
#include "executor/row_map.h"
#include "kernels/cuda/drafts.h"
#include "kernels/cuda/matrix.h"

namespace fathom::executor {

class StepInputs {
 public:
  // Kinds of paths whose keys stand in an activation, one sequence after the other.
  enum class Copied : std::uint8_t { expanded, gathered };  // paths of MHA; sparse_prefill

  // Sends all that the step needs, on the stream. True: the device memory moved. Lists have the same places in steps of the same groups with the
  // same longest() context.
  bool upload(const model_spec::Plan&, const model_spec::BoundPlan&, const StepInput&, const std::array<RowMap, 2>& maps, cudaStream_t);

  [[nodiscard]] const std::int32_t* ids() const { return at<std::int32_t>(ids_); }            // [tokens]
  [[nodiscard]] const std::int32_t* slots() const { return at<std::int32_t>(slots_); }        // [tokens] of the caches
  [[nodiscard]] const std::int32_t* sampled() const { return at<std::int32_t>(sampled_); }    // rows that get logits
  [[nodiscard]] const std::int32_t* drafted() const { return at<std::int32_t>(drafted_); }    // rows to draft from, if the input names them
  [[nodiscard]] const std::uint64_t* streams() const { return at<std::uint64_t>(streams_); }  // [sampled] of random numbers
  [[nodiscard]] const float* cosines() const { return at<float>(cosines_); }                  // [tokens, qk_rope_head_dim / 2]
  [[nodiscard]] const float* sines() const { return at<float>(sines_); }                      // likewise
  // Of the positions from `first` on, as RowMap counts them; for groups on paths that copy their contexts, and those after them.
  [[nodiscard]] const std::int32_t* context_slots(std::int64_t first) const { return at<std::int32_t>(context_slots_) + first - first_context_; }
  // [sequences] where the keys of each begin in an activation of these paths' contexts, in layers of this attention.
  [[nodiscard]] const std::int32_t* first_keys(model_spec::Attention kind, Copied paths) const {
    return at<std::int32_t>(first_keys_[static_cast<std::size_t>(kind)][static_cast<std::size_t>(paths)]);
  }
  // Of the tokens from `first` on.
  [[nodiscard]] kernels::cuda::Context context(std::int64_t first) const;
  [[nodiscard]] kernels::cuda::KnownTokens known() const;

  // Whether a group's context is read into an activation, in some layers: its keys then stand in memory as its sizes say, and not in pages.
  static bool copies_context(const std::array<model_spec::Path, 2>& paths);
  // The longest context of a batch, rounded up so that a growing one changes it rarely: by a page, or an eighth. Kernels are launched for it.
  static std::int64_t longest(const model_spec::Batch&);

 private:
  // Where a list begins; lists begin at multiples of 16 bytes.
  template <class T>
  [[nodiscard]] const T* at(std::size_t offset) const {
    return reinterpret_cast<const T*>(device_.as<std::byte>() + offset);
  }
  template <class T>
  std::size_t add(std::span<const T> list);
  void add_positions(const StepInput&);
  void add_contexts(const model_spec::BoundPlan&, const StepInput&);
  void add_first_keys(const StepInput&, const std::array<RowMap, 2>& maps);
  void add_known(const StepInput&);

  std::vector<std::byte> image_;
  PinnedMemory host_;
  DeviceMemory device_;
  std::size_t ids_ = 0, slots_ = 0, sampled_ = 0, drafted_ = 0, streams_ = 0, cosines_ = 0, sines_ = 0, context_slots_ = 0;
  std::size_t sequence_ = 0, visible_ = 0, pages_ = 0, next_ids_ = 0, sampled_at_ = 0, first_rows_ = 0;
  std::array<std::array<std::size_t, 2>, 2> first_keys_{};
  std::int64_t max_pages_ = 0, max_visible_ = 0, tokens_ = 0, sequences_ = 0;
  std::int64_t first_context_ = 0;  // positions of the groups before those in context_slots_
};

}  // namespace fathom::executor
