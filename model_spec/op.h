// Every operator of a plan, as one type. A new operator is one header in ops/, one name here, its CPU and CUDA kernels, one row of tests;
// the compiler lists every visit that misses it.
#pragma once

#include <concepts>
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
using OpOn = std::variant<Embedding<N>, RmsNorm<N>, LayerNorm<N>, Gemm<N>, BatchedGemm<N>, Quantise<N>, Rope<N>, Hadamard<N>, LatentCacheWrite<N>,
                          LatentCacheRead<N>, IndexCacheWrite<N>, IndexLogits<N>, TopK<N>, DenseMha<N>, DenseMqa<N>, SparseMla<N>, Gate<N>, GroupedGemm<N>,
                          SwiGlu<N>, Permute<N>, Unpermute<N>, Add<N>, AllReduce<N>, AllGather<N>, ReduceScatter<N>, Dispatch<N>, Combine<N>, SendRecv<N>,
                          Sample<N>>;
using Op = OpOn<std::int64_t>;

// Constrained to Op itself: an operator without a cost() of its own must not convert to Op and recurse.
template <std::same_as<Op> T>
Cost<double> cost(const T& op) {
  return std::visit([](const auto& o) { return cost_of(o); }, op);
}

std::string_view op_name(const Op&);

// The family whose efficiency prices the operator.
Family family(const Op&);

// The operator's costs as text: one line a term that is not zero, made by cost() itself on Recorded numbers.
struct Explained { std::string term, unit, symbolic, filled; double value; };
std::vector<Explained> explain(const Op&);

}  // namespace fathom::model_spec
