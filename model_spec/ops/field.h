// An operator is an aggregate of named sizes, a template on the number type of those sizes:
//   std::int64_t   as it stands in a plan and as launchers take it;
//   double, Recorded, Dual   as cost() takes it.
// Its one list of fields (name, unit, member) serves conversion, reports and traces.
#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "model_spec/cost.h"
#include "model_spec/family.h"

namespace fathom::model_spec {

template <class Owner, class T>
struct Field {
  std::string_view name, unit;
  T Owner::*member;
};
template <class Owner, class T>
Field(std::string_view, std::string_view, T Owner::*) -> Field<Owner, T>;

// True for members that are sizes (numbers), false for types, formats and switches, which are copied as they are.
template <class T>
inline constexpr bool is_size = !std::is_enum_v<T> && !std::is_same_v<T, bool>;

// The same operator on another number type: make(name, value) turns each size.
template <class To, template <class> class Op, class From, class Make>
Op<To> convert(const Op<From>& op, Make make) {
  Op<To> result;
  constexpr auto from = Op<From>::fields();
  constexpr auto to = Op<To>::fields();
  const auto one = [&](const auto& f, const auto& t) {
    if constexpr (is_size<std::remove_cvref_t<decltype(op.*f.member)>>) result.*t.member = make(f.name, static_cast<double>(op.*f.member));
    else result.*t.member = op.*f.member;
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) { (one(std::get<I>(from), std::get<I>(to)), ...); }
  (std::make_index_sequence<std::tuple_size_v<decltype(from)>>{});
  return result;
}

// The price of an operator as it stands in a plan.
template <template <class> class Op>
Cost<double> cost_of(const Op<std::int64_t>& op) {
  return cost(convert<double>(op, [](std::string_view, double v) { return v; }));
}

// visit(name, unit, value) for every field.
template <template <class> class Op, class N, class Visit>
void each_field(const Op<N>& op, Visit visit) {
  std::apply([&](const auto&... f) { (visit(f.name, f.unit, op.*f.member), ...); }, Op<N>::fields());
}

}  // namespace fathom::model_spec
