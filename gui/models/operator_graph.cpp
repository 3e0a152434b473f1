// Which operator of a block waits for which.
#include <fmt/format.h>

#include <algorithm>

#include "gui/models/bound_colour.h"
#include "gui/models/views.h"
#include "model_spec/plan.h"

namespace fathom::gui {
namespace {

using Indices = std::vector<std::size_t>;
using cli::OperatorTotal;

// Operators of the layers of one name that run most often, in the order of the plan. Those that run per group are several of one step.
std::vector<OperatorTotal> operators_of(const Trace& trace, const std::string& name) {
  auto all = cli::operator_totals(trace);
  std::erase_if(all, [&](const OperatorTotal& o) { return o.block->name != name; });
  if (all.empty()) return all;
  const auto* usual = std::ranges::max_element(all, {}, [](const OperatorTotal& o) { return o.block->repeats; })->block;
  std::erase_if(all, [&](const OperatorTotal& o) { return o.block != usual; });
  return all;
}

// For each operator those that it waits for. Steps that did not run pass on what they wait for.
std::vector<Indices> predecessors(const Block& block, const std::vector<OperatorTotal>& operators) {
  const auto per_group = [&](const OperatorTotal& o) { return block.steps[o.step->id.step].rows == Rows::group; };
  std::vector<Indices> of_step(block.steps.size()), out(operators.size());
  std::size_t next = 0;
  for (std::size_t step = 0; step < block.steps.size(); ++step) {
    Indices before;
    for (const auto earlier : block.dependencies->before(step)) before.insert(before.end(), of_step[earlier].begin(), of_step[earlier].end());
    for (; next < operators.size() && operators[next].step->id.step == step; ++next) {
      const auto& now = operators[next];
      std::ranges::copy_if(before, std::back_inserter(out[next]),
                           [&](std::size_t b) { return !per_group(now) || !per_group(operators[b]) || now.step->id.group == operators[b].step->id.group; });
      of_step[step].push_back(next);
    }
    if (of_step[step].empty()) of_step[step] = std::move(before);
  }
  return out;
}

// The edges that no longer way implies. Every predecessor comes earlier.
std::vector<Edge> reduced(const std::vector<Indices>& before) {
  std::vector<std::vector<bool>> reached(before.size(), std::vector<bool>(before.size()));  // reached[later][earlier]
  std::vector<Edge> edges;
  for (std::size_t to = 0; to < before.size(); ++to) {
    auto sorted = before[to];
    std::ranges::sort(sorted, std::greater());
    for (const auto from : sorted) {  // the nearest first: a longer way leads through a later one
      if (reached[to][from]) continue;
      edges.push_back({.from = from, .to = to, .label = {}, .bends = {}});
      reached[to][from] = true;
      for (std::size_t earlier = 0; earlier < from; ++earlier)
        if (reached[from][earlier]) reached[to][earlier] = true;
    }
  }
  return edges;
}

Node node_of(PhaseName p, const OperatorTotal& o, Seconds step) {
  const auto& t = *o.step->predicted;
  return {.key = operator_key(p, o),
          .label = std::string(o.step->label),
          .detail = fmt::format("{} us · {}", shown(Cell{1e6 * o.total.value / o.times}, Kind::real), name_of(t.bound)),
          .tip = operator_tip(o, step),
          .colour = bound_colour(t.bound)};
}

}  // namespace

std::vector<std::string> blocks_of(const Answer& a, PhaseName p) {
  std::vector<std::string> names;
  if (!a.nothing(p).empty()) return names;
  for (const auto& b : a.estimated(p).trace.blocks)
    if (std::ranges::find(names, b.name) == names.end()) names.emplace_back(b.name);
  return names;
}

Diagram operator_graph(const Answer& a, PhaseName p, std::size_t block) {
  Diagram d{.title = fmt::format("Operators, {}", name_of(p)), .nodes = {}, .edges = {}, .frames = {}, .empty = a.nothing(p)};
  if (!d.empty.empty()) return d;
  const auto names = blocks_of(a, p);
  if (block >= names.size()) {
    d.empty = "This model has no such block.";
    return d;
  }
  const auto& e = a.estimated(p);
  const auto operators = operators_of(e.trace, names[block]);
  d.title = fmt::format("{}, {}", names[block], name_of(p));
  if (operators.empty()) {
    d.empty = fmt::format("No operator of the {} runs in this batch.", names[block]);
    return d;
  }
  const auto plan = model_spec::plan(a.scenario->model, a.phase(p).layout, a.phase(p).policy);
  for (const auto& o : operators) d.nodes.push_back(node_of(p, o, e.step));
  d.edges = reduced(predecessors(plan.stages.front().blocks[operators.front().step->id.block], operators));
  lay_out(d);
  return d;
}

}  // namespace fathom::gui
