// The plan as a graph, and the predicted step as a timeline.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/output.h"
#include "cli/trace_json.h"
#include "cli/verbs.h"
#include "simulator/estimate.h"
#include "simulator/simulate.h"

namespace fathom::cli {
namespace {

const Phase& phase_of(const Scenario& s, const Request& request) { return request.option("phase", "decode") == "prefill" ? s.prefill : s.decode; }

Outcome refused(const std::string& reason) { return {.data = {}, .exit = Exit::infeasible, .remarks = {"does not fit: " + reason}}; }

// "moe_layer" is "MoE layer".
std::string plain(std::string_view name) {
  std::string out(name);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return c == ' ' || c == '-' ? '_' : static_cast<char>(std::tolower(c)); });
  return out;
}

const Block& block_of(const Plan& plan, const Request& request) {
  const auto& blocks = plan.stages.front().blocks;
  if (!request.has("block")) return *std::ranges::max_element(blocks, {}, &Block::repeats);
  const auto wanted = request.option("block");
  const auto found = std::ranges::find_if(blocks, [&](const Block& b) { return plain(b.name) == plain(wanted); });
  if (found != blocks.end()) return *found;
  std::vector<std::string> names;
  for (const auto& b : blocks) names.push_back(plain(b.name));
  const auto near = nearest(wanted, names);
  throw Error(Failure::usage, fmt::format("--block: there is no block '{}'{}; blocks: {}", wanted, near ? fmt::format(" (did you mean '{}'?)", *near) : "",
                                          fmt::join(names, ", ")));
}

// Every stage simulated with the batch of the estimate.
std::vector<Trace> traces_of(const Scenario& s, const Phase& phase, const Batch& batch) {
  auto profile = hardware_profiles::find_profile(phase.system);
  const auto calibration = calibration_of(s, profile);
  const auto p = plan(s.model, phase.layout, phase.policy);
  const auto machine = prepare(profile, calibration, p);
  std::vector<Trace> out(p.stages.size());
  BoundPlan bound;
  for (std::size_t stage = 0; stage < out.size(); ++stage) simulate(p, stage, machine, batch, bound, out[stage]);
  return out;
}

}  // namespace

Outcome run_graph(const Request& request) {
  Outcome out;
  const auto s = read_scenario(all_settings(request, out.remarks));
  const auto& phase = phase_of(s, request);
  if (const auto reason = check(s.model, phase.layout)) return refused(*reason);
  const auto p = plan(s.model, phase.layout, phase.policy);
  const auto& block = block_of(p, request);
  const auto title = fmt::format("{} {} {}", s.model.name, label(phase.layout), block.name);
  out.data = request.option("format", "dot") == "dot" ? block.dependencies->graphviz(title, block.steps) : block.dependencies->graphml(block.steps);
  return out;
}

Outcome run_trace(const Request& request) {
  Outcome out;
  const auto s = read_scenario(all_settings(request, out.remarks));
  const auto& phase = phase_of(s, request);
  const auto e = estimate(s);
  const auto& estimated = &phase == &s.prefill ? e.prefill : e.decode;
  if (!estimated.reason.empty()) return refused(estimated.reason);
  out.data = trace_json(traces_of(s, phase, estimated.batch), request.has("all-layers"));
  return out;
}

}  // namespace fathom::cli
