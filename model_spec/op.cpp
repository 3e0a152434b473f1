#include "model_spec/op.h"

#include <fmt/format.h>

#include "model_spec/formula.h"

namespace fathom::model_spec {
namespace {

void add(std::vector<Explained>& lines, std::string term, std::string unit, const Recorded& r) {
  if (r.value() != 0) lines.push_back({std::move(term), std::move(unit), r.symbolic(), r.filled(), r.value()});
}

// visit(an operator) of every kind, in the order of Op.
template <class Visit>
void each_kind(Visit visit) {
  [&]<std::size_t... I>(std::index_sequence<I...>) { (visit(std::variant_alternative_t<I, Op>{}), ...); }
  (std::make_index_sequence<std::variant_size_v<Op>>{});
}

template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_enum_v<T>) return std::string(name_of(value));
  else return fmt::format("{}", value);
}

}  // namespace

std::string_view op_name(const Op& op) {
  return std::visit([](const auto& o) { return std::remove_cvref_t<decltype(o)>::name; }, op);
}

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  each_kind([&](const auto& op) { names.emplace_back(op.name); });
  return names;
}

std::optional<Op> op_named(std::string_view name) {
  std::optional<Op> found;
  each_kind([&](const auto& op) {
    if (op.name == name) found = op;
  });
  return found;
}

bool is_exchange(const Op& op) { return is_collective(family(op)); }

std::string sizes_text(const Op& op) {
  std::string text;
  const auto one = [&](std::string_view name, std::string_view, const auto& value) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, text_of(value));
  };
  std::visit([&](const auto& o) { each_field(o, one); }, op);
  return text;
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
