#include "simulator/op_time.h"

#include <fmt/format.h>

#include <algorithm>

#include "model_spec/error.h"

namespace fathom::simulator {
namespace {

const Efficiency& efficiency(const Machine& machine, Family family, Arithmetic arithmetic) {
  if (const auto* e = machine.calibration.find(family, arithmetic)) return *e;
  throw Error(Failure::bad_file, fmt::format("{}: no [[family]] with family = \"{}\" and arithmetic = \"{}\": how fast the operator runs is not known",
                                             machine.calibration.origin, name_of(family), name_of(arithmetic)));
}

Arithmetic main_arithmetic(const Cost<>& c) {
  const auto largest = std::ranges::max_element(c.matrix_flops);
  return *largest > 0 ? static_cast<Arithmetic>(largest - c.matrix_flops.begin()) : Arithmetic::fp32;
}

// The largest of the four times bounds the operator, unless its fixed cost is larger still.
void conclude(OpTime& t) {
  const std::pair<Seconds, Bound> times[] = {{t.compute, Bound::compute}, {t.memory, Bound::memory}, {t.vector, Bound::vector}, {t.wire, Bound::wire}};
  Seconds longest;
  for (const auto& [time, bound] : times) {
    if (time <= longest) continue;
    longest = time;
    t.bound = bound;
  }
  if (t.fixed > longest) t.bound = Bound::fixed;
  t.total = t.fixed + longest;
}

OpTime kernel_time(const Machine& machine, Family family, const Cost<>& c, bool launched, double free_sms) {
  OpTime t{.arithmetic = main_arithmetic(c)};
  const auto& e = efficiency(machine, family, t.arithmetic);
  t.provenance = e.provenance;
  t.fixed = launched ? e.fixed : Seconds{0};
  const double flops = c.total_matrix_flops();
  if (flops > 0) {
    const auto fraction = e.compute.empty() ? hardware_profiles::Curve::Value{1, true} : e.compute.at(flops);
    t.inside = fraction.inside;
    for (std::size_t a = 0; a < arithmetic_count; ++a)
      if (c.matrix_flops[a] > 0) t.floor += Flops{c.matrix_flops[a]} / machine.profile.rate(static_cast<Arithmetic>(a));
    t.compute = t.floor / (fraction.fraction * free_sms);
  } else if (c.vector_flops > 0) {  // a measured fraction of a matrix rate contains what the kernel does besides
    t.floor = Flops{c.vector_flops} / machine.profile.vector();
    t.vector = t.floor / free_sms;
  }
  if (const double bytes = c.hbm_bytes(); bytes > 0) {
    const auto fraction = e.memory.at(bytes);
    const auto at_peak = Bytes{bytes} / machine.profile.bandwidth();
    t.memory = at_peak / fraction.fraction;
    t.floor = std::max(t.floor, at_peak);
    if (t.memory > t.compute) t.inside = fraction.inside;
  }
  conclude(t);
  return t;
}

OpTime exchange_time(const Machine& machine, Family family, const Cost<>& c, std::int64_t ranks) {
  const auto& e = efficiency(machine, family, Arithmetic::fp32);
  const auto& wire = machine.wires[static_cast<std::size_t>(family)][ranks == machine.tp ? 0 : 1];
  if (!wire) throw Error(Failure::bad_file, fmt::format("no route for {} between {} ranks", name_of(family), ranks));
  OpTime t{.wire = Seconds{c.sent_bytes * wire->seconds_per_byte}, .fixed = wire->fixed, .floor = Seconds{c.sent_bytes * wire->floor_seconds_per_byte}};
  t.provenance = e.provenance;
  conclude(t);
  return t;
}

}  // namespace

OpTime op_time(const Machine& machine, const Op& op, bool launched, double free_sms) {
  return std::visit(
      [&](const auto& o) {
        const auto family = model_spec::family(o);
        const auto c = cost_of(o);
        if constexpr (requires { o.ranks; }) return exchange_time(machine, family, c, o.ranks);
        else if constexpr (std::is_same_v<std::remove_cvref_t<decltype(o)>, SendRecv<std::int64_t>>) return exchange_time(machine, family, c, -1);
        else return kernel_time(machine, family, c, launched, free_sms);
      },
      op);
}

}  // namespace fathom::simulator
