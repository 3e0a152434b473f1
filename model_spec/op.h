// Every operator of a plan, as one type. A new operator is one header in ops/, one name here, its CPU and CUDA kernels, one row of tests;
// the compiler lists every visit that misses it.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model_spec/ops/attention.h"
#include "model_spec/ops/batched_gemm.h"
#include "model_spec/ops/cache.h"
#include "model_spec/ops/collectives.h"
#include "model_spec/ops/embedding.h"
#include "model_spec/ops/gate.h"
#include "model_spec/ops/gemm.h"
#include "model_spec/ops/grouped_gemm.h"
#include "model_spec/ops/hadamard.h"
#include "model_spec/ops/index_logits.h"
#include "model_spec/ops/layer_norm.h"
#include "model_spec/ops/permute.h"
#include "model_spec/ops/quantise.h"
#include "model_spec/ops/rms_norm.h"
#include "model_spec/ops/rope.h"
#include "model_spec/ops/sample.h"
#include "model_spec/ops/swiglu.h"
#include "model_spec/ops/top_k.h"

namespace fathom::model_spec {

template <class N>
using OpOn =
    std::variant<Embedding<N>, RmsNorm<N>, LayerNorm<N>, Gemm<N>, BatchedGemm<N>, Quantise<N>, Rope<N>, Hadamard<N>, LatentCacheWrite<N>, LatentCacheRead<N>,
                 IndexCacheWrite<N>, IndexLogits<N>, TopK<N>, DenseMha<N>, DenseMqa<N>, SparseMla<N>, Gate<N>, GroupedGemm<N>, SwiGlu<N>, Permute<N>,
                 Unpermute<N>, Add<N>, AllReduce<N>, AllGather<N>, ReduceScatter<N>, Dispatch<N>, Combine<N>, SendRecv<N>, Sample<N>>;
using Op = OpOn<std::int64_t>;

// Constrained to Op itself: an operator without a cost() of its own must not convert to Op and recurse.
template <std::same_as<Op> T>
Cost<double> cost(const T& op) {
  return std::visit([](const auto& o) { return cost_of(o); }, op);
}

std::string_view op_name(const Op&);
std::vector<std::string> op_names();                // of all operators, in the order of Op
std::optional<Op> op_named(std::string_view name);  // its sizes still zero
bool is_exchange(const Op&);                        // between ranks
// Every size, type and switch of the operator: "tokens=32 in=7168 out=1536 weight=fp8_block ...". Equal operators have equal text.
std::string sizes_text(const Op&);

namespace detail {
template <class T, template <class> class Op_>
inline constexpr bool is = std::is_same_v<T, Op_<std::int64_t>>;
}  // namespace detail

// The family whose efficiency prices the operator.
template <class T>
requires(!std::same_as<T, Op>) constexpr Family family(const T& op) {
  using detail::is;
  if constexpr (is<T, Gemm>) return Family::gemm;
  else if constexpr (is<T, BatchedGemm>) return Family::batched_gemm;
  else if constexpr (is<T, GroupedGemm>) return Family::grouped_gemm;
  else if constexpr (is<T, IndexLogits>) return Family::index_logits;
  else if constexpr (is<T, TopK>) return Family::top_k;
  else if constexpr (is<T, DenseMha>) return Family::dense_mha;
  else if constexpr (is<T, DenseMqa>) return Family::dense_mqa;
  else if constexpr (is<T, SparseMla>) return op.cache == CacheFormat::fp8 ? Family::sparse_mla_decode : Family::sparse_mla_prefill;
  else if constexpr (is<T, AllReduce>) return Family::all_reduce;
  else if constexpr (is<T, AllGather>) return Family::all_gather;
  else if constexpr (is<T, ReduceScatter>) return Family::reduce_scatter;
  else if constexpr (is<T, Dispatch>) return op.transport == Transport::normal ? Family::dispatch_normal : Family::dispatch_low_latency;
  else if constexpr (is<T, Combine>) return op.transport == Transport::normal ? Family::combine_normal : Family::combine_low_latency;
  else if constexpr (is<T, SendRecv>) return Family::send_recv;
  else return Family::elementwise;
}
template <std::same_as<Op> T>
Family family(const T& op) {
  return std::visit([](const auto& o) { return family(o); }, op);
}

// The operator's costs as text: one line a term that is not zero, made by cost() itself on Recorded numbers.
struct Explained {
  std::string term, unit, symbolic, filled;
  double value;
};
std::vector<Explained> explain(const Op&);

}  // namespace fathom::model_spec
