#include "simulator/compare.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <tuple>

namespace fathom::simulator {
namespace {

using namespace model_spec;

auto key_of(const StepId& id) { return std::tuple(id.stage, id.block, id.step, id.group, id.layer); }

ComparedLabel& row_of(std::vector<ComparedLabel>& rows, std::string_view label) {
  const auto found = std::ranges::find(rows, label, &ComparedLabel::label);
  if (found != rows.end()) return *found;
  return rows.emplace_back(ComparedLabel{.label = label});
}

}  // namespace

Comparison compare(std::span<const Trace> measured, std::span<const Trace> predicted) {
  Comparison out;
  std::map<decltype(key_of({})), Seconds> durations;
  for (const auto& trace : measured) {
    out.measured += trace.total;
    for (const auto& s : trace.steps) durations.emplace(key_of(s.id), s.duration);
  }
  for (const auto& trace : predicted) {
    out.predicted += trace.total;
    for (const auto& s : trace.steps) {
      assert(durations.contains(key_of(s.id)));
      auto& row = row_of(out.labels, s.label);
      ++row.runs;
      row.predicted += s.duration;
      row.measured += durations[key_of(s.id)];
    }
  }
  return out;
}

Speed speed_of(const Machine& machine, const Op& op, Seconds measured) {
  const auto c = cost(op);
  Speed s{.flops = Flops{c.total_matrix_flops()} / measured, .bytes = Bytes{c.hbm_bytes()} / measured, .predicted = op_time(machine, op)};
  s.floor_share = s.predicted.floor / measured;
  return s;
}

}  // namespace fathom::simulator
