#include "model_spec/op.h"

#include "model_spec/formula.h"

namespace fathom::model_spec {
namespace {

void add(std::vector<Explained>& lines, std::string term, std::string unit, const Recorded& r) {
  if (r.value() != 0) lines.push_back({std::move(term), std::move(unit), r.symbolic(), r.filled(), r.value()});
}

}  // namespace

std::string_view op_name(const Op& op) {
  return std::visit([](const auto& o) { return std::remove_cvref_t<decltype(o)>::name; }, op);
}

std::vector<Explained> explain(const Op& op) {
  const auto recorded = std::visit(
      [](const auto& o) { return cost(convert<Recorded>(o, [](std::string_view name, double v) { return Recorded::size(std::string(name), v); })); }, op);
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
