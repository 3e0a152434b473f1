#include "model_spec/op.h"

#include "model_spec/formula.h"

namespace fathom::model_spec {
namespace {

template <class T, template <class> class Op_>
inline constexpr bool is = std::is_same_v<T, Op_<std::int64_t>>;

template <class T>
constexpr Family family_of(const T& op) {
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

void add(std::vector<Explained>& lines, std::string term, std::string unit, const Recorded& r) {
  if (r.value() != 0) lines.push_back({std::move(term), std::move(unit), r.symbolic(), r.filled(), r.value()});
}

}  // namespace

std::string_view op_name(const Op& op) {
  return std::visit([](const auto& o) { return std::remove_cvref_t<decltype(o)>::name; }, op);
}

Family family(const Op& op) {
  return std::visit([](const auto& o) { return family_of(o); }, op);
}

std::vector<Explained> explain(const Op& op) {
  const auto recorded = std::visit([](const auto& o) {
    return cost(convert<Recorded>(o, [](std::string_view name, double v) { return Recorded::size(std::string(name), v); }));
  }, op);
  std::vector<Explained> lines;
  for (const auto& [arithmetic, name] : arithmetic_names) add(lines, "matrix_flops_" + std::string(name), "FLOP", recorded.matrix(arithmetic));
  add(lines, "vector_flops", "FLOP", recorded.vector_flops);
  add(lines, "hbm_read_bytes", "B", recorded.hbm_read_bytes);
  add(lines, "hbm_write_bytes", "B", recorded.hbm_write_bytes);
  add(lines, "gathered_bytes", "B", recorded.gathered_bytes);
  add(lines, "sent_bytes", "B", recorded.sent_bytes);
  return lines;
}

}  // namespace fathom::model_spec
