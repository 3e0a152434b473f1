// The test stand of one operator: its operands in device memory, in as many sets as it takes to keep them out of the caches, and its launch.
#pragma once

#include <deque>
#include <functional>
#include <span>

#include "executor/bench.h"
#include "executor/cuda/device_memory.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/matrix.h"
#include "model_spec/model.h"

namespace fathom::executor {

class Stand {
 public:
  using I = std::int64_t;
  using Matrix = kernels::cuda::Matrix;
  using Stack = kernels::cuda::Stack;
  using Stream = kernels::cuda::Stream;
  using Launch = std::function<void(I set, Stream)>;
  struct Operand {
    std::size_t index = 0;
  };

  // sets: of operands; each operand has a copy of its own in each set, or as many copies as make it larger than cold_bytes.
  Stand(I sets, double cold_bytes) : sets_(sets), cold_bytes_(cold_bytes) {}

  // First every operand is declared. Rows of matrices are allocated up to a multiple of 4; with scales they stand as matrix.h and gemm.h say.
  Operand random(DType type, I rows, I columns, I count = 1);  // executor/cuda/fill.h
  Operand output(DType type, I rows, I columns);               // poisoned: not a number, or -1
  Operand latent_cache(model_spec::CacheFormat format, I latent, I rope, I pages);
  Operand index_cache(DType type, I dims, I pages);
  Operand scratch(I bytes);
  template <class T>
  Operand list(std::span<const T> values);  // the same in every set
  template <class T, class Make>
  Operand lists(Make make);  // make(set)
  void on_launch(Launch launch) { launch_ = std::move(launch); }
  void before(Launch prepare) { prepare_ = std::move(prepare); }  // once for each set, not timed

  [[nodiscard]] double bytes() const;
  // Then all of them are placed in `memory` and filled.
  void make(DeviceMemory& memory, Stream);

  [[nodiscard]] I sets() const { return sets_; }
  void launch(I set, Stream stream) const { launch_(set, stream); }
  // Whether the launch of set 0 wrote the first and the last row of every output.
  [[nodiscard]] bool wrote(Stream) const;

  // Of a set, for launches.
  [[nodiscard]] Matrix matrix(Operand, I set) const;
  [[nodiscard]] Stack stack(Operand, I set) const;
  [[nodiscard]] kernels::cuda::LatentCache latent(Operand, I set) const;
  [[nodiscard]] kernels::cuda::IndexCache index(Operand, I set) const;
  [[nodiscard]] kernels::cuda::Workspace workspace(Operand, I set) const;
  template <class T>
  [[nodiscard]] T* data(Operand operand, I set) const {
    return reinterpret_cast<T*>(copy(operand, set));
  }

 private:
  // `copies` copies of `bytes` each, one after the other.
  struct Entry {
    I bytes = 0, copies = 1;
    bool poisoned = false;
    Stack shape{};  // of a matrix or of several; data and scales null
    kernels::cuda::LatentCache latent{};
    kernels::cuda::IndexCache index{};
    std::function<void(std::byte* copy, I number, Stream)> fill{};
    std::byte* first = nullptr;
  };
  Operand add(Entry);
  [[nodiscard]] const Entry& entry(Operand operand) const { return entries_[operand.index]; }
  [[nodiscard]] std::byte* copy(Operand, I set) const;
  static Stack placed(Stack shape, std::byte* at);

  I sets_;
  double cold_bytes_;
  std::deque<Entry> entries_;
  Launch launch_, prepare_;
};

// What an operator's record does not say of its operands.
struct StandFacts {
  const model_spec::ModelSpec& model;
  DType index_keys;  // what the index cache holds
  kernels::cuda::Gemms& gemms;
};

// Declares the operands of a record and its launch; gives back the record as it runs, the loads of experts filled in.
model_spec::Op declare(Stand&, const BenchRecord&, const StandFacts&);

// The parts of it: what works on rows, on products, on keys (stand_rows.cpp, stand_products.cpp, stand_keys.cpp).
namespace stands {
using I = std::int64_t;
void declare(Stand&, const model_spec::Embedding<I>&);
void declare(Stand&, const model_spec::RmsNorm<I>&);
void declare(Stand&, const model_spec::LayerNorm<I>&);
void declare(Stand&, const model_spec::Quantise<I>&);
void declare(Stand&, const model_spec::Rope<I>&);
void declare(Stand&, const model_spec::Hadamard<I>&);
void declare(Stand&, const model_spec::LatentCacheWrite<I>&);
void declare(Stand&, const model_spec::LatentCacheRead<I>&);
void declare(Stand&, const model_spec::IndexCacheWrite<I>&, const StandFacts&);
void declare(Stand&, const model_spec::SwiGlu<I>&);
void declare(Stand&, const model_spec::Add<I>&);
void declare(Stand&, const model_spec::Sample<I>&);
void declare(Stand&, const model_spec::Gate<I>&, const StandFacts&);
void declare(Stand&, const model_spec::Gemm<I>&, const StandFacts&);
void declare(Stand&, const model_spec::BatchedGemm<I>&, const StandFacts&);
void declare(Stand&, model_spec::GroupedGemm<I>&, const StandFacts&);  // fills in the load
void declare(Stand&, const model_spec::Permute<I>&, const StandFacts&);
void declare(Stand&, const model_spec::Unpermute<I>&, const StandFacts&);
void declare(Stand&, const model_spec::IndexLogits<I>&, const StandFacts&);
void declare(Stand&, const model_spec::TopK<I>&);
void declare(Stand&, const model_spec::DenseMha<I>&, const StandFacts&);
void declare(Stand&, const model_spec::DenseMqa<I>&, const StandFacts&);
void declare(Stand&, const model_spec::SparseMla<I>&, const StandFacts&, bool from_copy);
}  // namespace stands

// ---- templates

template <class T>
Stand::Operand Stand::list(std::span<const T> values) {
  const auto made = lists<T>([kept = std::vector<T>(values.begin(), values.end())](I) { return kept; });
  entries_[made.index].copies = 1;
  return made;
}

template <class T, class Make>
Stand::Operand Stand::lists(Make make) {
  Entry e{.bytes = static_cast<I>(make(0).size() * sizeof(T))};
  e.fill = [make](std::byte* copy, I number, Stream stream) {
    const std::vector<T> values = make(number);
    kernels::cuda::check(cudaMemcpyAsync(copy, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
    kernels::cuda::check(cudaStreamSynchronize(stream), "copying of a list");
  };
  return add(std::move(e));
}

}  // namespace fathom::executor
