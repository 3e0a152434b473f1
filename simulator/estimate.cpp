#include "simulator/estimate.h"

#include <algorithm>
#include <cmath>

#include "simulator/api_prices.h"
#include "simulator/simulate.h"

namespace fathom::simulator {
namespace {

// A phase made ready: its plan, its machine, and the objects that repeated steps reuse.
struct Runner {
  HardwareProfile profile;
  Plan plan;
  Machine machine;
  BoundPlan bound{};

  struct Times {
    Seconds latency{}, slowest{};
  };  // through all stages; of the slowest
  Times step(const Batch& batch, Trace* first_stage = nullptr) {
    Times t;
    Trace trace;
    for (std::size_t stage = 0; stage < plan.stages.size(); ++stage) {
      simulate(plan, stage, machine, batch, bound, trace);
      t.latency += trace.total;
      t.slowest = std::max(t.slowest, trace.total);
      if (stage == 0 && first_stage) *first_stage = trace;
    }
    return t;
  }
};

Runner make_runner(const Scenario& s, const Phase& phase) {
  auto profile = hardware_profiles::find_profile(phase.system);
  if (s.total_gpus > 0) profile.cluster.max_nodes = (s.total_gpus + profile.cluster.gpus_per_node - 1) / profile.cluster.gpus_per_node;
  auto p = plan(s.model, phase.layout, phase.policy);
  auto machine = prepare(profile, calibration_of(s, profile), p);
  return {std::move(profile), std::move(p), std::move(machine)};
}

// Time by kind of source, longest first, and whether everything was priced within its measured domain.
void note_sources(PhaseEstimate& e) {
  std::array<double, provenance_names.size()> time{};
  for (const auto& block : e.trace.blocks)
    for (auto i = block.first; i < block.first + block.count; ++i) {
      const auto& t = *e.trace.steps[i].predicted;
      time[static_cast<std::size_t>(t.provenance)] += t.total.value * static_cast<double>(block.repeats);
      e.inside = e.inside && t.inside;
    }
  for (std::size_t p = 0; p < time.size(); ++p)
    if (time[p] > 0) e.provenance.push_back(static_cast<Provenance>(p));
  std::ranges::sort(e.provenance, [&](Provenance a, Provenance b) { return time[static_cast<std::size_t>(a)] > time[static_cast<std::size_t>(b)]; });
}

// Why the phase cannot run, before anything is planned; empty if it can.
std::string layout_reason(const Scenario& s, const Phase& phase) {
  if (auto reason = check(s.model, phase.layout)) return *reason;
  if (auto reason = check(s.model, phase.policy)) return *reason;
  if (s.total_gpus > 0 && gpus(phase.layout) > s.total_gpus)
    return std::to_string(gpus(phase.layout)) + " GPUs are more than the " + std::to_string(s.total_gpus) + " of the cluster";
  return {};
}

// A prompt goes through in chunks of at most a step's tokens; short prompts share a step.
struct PrefillSteps {
  std::int64_t sequences = 1;
  std::vector<Batch> steps;
};
PrefillSteps prefill_steps(const Phase& phase, std::int64_t new_tokens, std::int64_t cached) {
  const auto chunk = phase.policy.chunked_prefill_tokens;
  PrefillSteps p{.sequences = phase.batch > 0 ? phase.batch : std::max<std::int64_t>(1, chunk / new_tokens), .steps = {}};
  const auto tokens = std::max<std::int64_t>(1, chunk / p.sequences);  // of each sequence a step
  for (std::int64_t done = 0; done < new_tokens; done += tokens) {
    auto batch = prefill(p.sequences, std::min(tokens, new_tokens - done), cached + done);
    if (done + tokens < new_tokens) batch.sampled = 0;
    p.steps.push_back(std::move(batch));
  }
  return p;
}

// The step that stands for a prompt in chunks: the last full one. It needs the most memory and is the most like the others.
std::size_t shown(const PrefillSteps& p) {
  const auto last = p.steps.size() - 1;
  return p.steps[last].tokens() < p.steps[0].tokens() ? last - 1 : last;
}

// Of the prompts of one batch. Chunks follow each other through the stages: the first takes its latency, each other one slowest stage.
struct PrefillTimes {
  Seconds latency{}, busy{};
  Runner::Times first{};
};
PrefillTimes run_prefill(Runner& r, const PrefillSteps& p) {
  PrefillTimes sum;
  for (std::size_t i = 0; i < p.steps.size(); ++i) {
    const auto t = r.step(p.steps[i]);
    if (i == 0) sum.first = t;
    sum.latency += i == 0 ? t.latency : t.slowest;
    sum.busy += t.slowest;
  }
  return sum;
}

double gpu_seconds(const PrefillTimes& t, const PhaseEstimate& e, const PrefillSteps& p) {
  return t.busy.value * static_cast<double>(e.gpus) / static_cast<double>(p.sequences * e.layout.dp);
}

struct PrefillCosts {
  double per_new_token = 0, per_cached_token = 0;
};  // GPU-seconds

// A new token costs what it would without the prefix; a cached one what new tokens take longer for having it before them. Together they
// are the time that was taken. Without a prefix the cached token is one of a first half that was found.
PrefillCosts prefill_costs(Runner& r, const Phase& phase, const Workload& w, const PhaseEstimate& e) {
  const auto cost = [&](std::int64_t new_tokens, std::int64_t cached) {
    const auto p = prefill_steps(phase, new_tokens, cached);
    return gpu_seconds(run_prefill(r, p), e, p);
  };
  const auto cached = w.prefix > 0 ? w.prefix : w.isl / 2, computed = w.isl - w.prefix;
  const double more = cached > 0 ? cost(w.isl - cached, cached) - cost(w.isl - cached, 0) : 0;
  return {cost(computed, 0) / static_cast<double>(computed), cached > 0 ? more / static_cast<double>(cached) : 0};
}

PrefillCosts estimate_prefill(const Scenario& s, Estimate& out) {
  auto& e = out.prefill;
  const auto& w = s.workload;
  const auto new_tokens = w.isl - w.prefix;
  e.reason = layout_reason(s, s.prefill);
  if (!e.reason.empty()) return {};
  auto r = make_runner(s, s.prefill);
  e.reason = r.machine.refusal;
  if (!e.reason.empty()) return {};
  auto phase = s.prefill;
  auto p = prefill_steps(phase, new_tokens, w.prefix);
  const auto fit_now = [&] { return fit(r.plan, r.profile, {{p.steps[shown(p)]}, p.sequences, w.isl}, s.gpu_mem_fraction); };
  e.fit = fit_now();
  if (phase.batch == 0 && !e.fit.reason.empty() && e.fit.largest_batch > 0) {  // a chunk would hold more prompts than memory
    phase.batch = e.fit.largest_batch;
    p = prefill_steps(phase, new_tokens, w.prefix);
    e.fit = fit_now();
  }
  e.batch = p.steps[shown(p)];
  e.reason = e.fit.reason;
  const auto t = run_prefill(r, p);
  e.step = r.step(e.batch, &e.trace).latency;
  e.interval = t.busy / static_cast<double>(p.steps.size());
  e.tokens_per_second_per_gpu = static_cast<double>(new_tokens) / gpu_seconds(t, e, p);
  note_sources(e);
  out.ttft = t.latency;
  out.prompt_steps = static_cast<std::int64_t>(p.steps.size());
  out.first_latency = t.first.latency;
  out.first_interval = t.first.slowest;
  return prefill_costs(r, phase, w, e);
}

double estimate_decode(const Scenario& s, Estimate& out) {
  auto& e = out.decode;
  const auto& w = s.workload;
  e.reason = layout_reason(s, s.decode);
  if (!e.reason.empty()) return 0;
  auto r = make_runner(s, s.decode);
  e.reason = r.machine.refusal;
  if (!e.reason.empty()) return 0;
  const auto length = w.isl + w.osl, context = w.isl + w.osl / 2, new_tokens = 1 + s.decode.policy.mtp_depth;
  const auto fit_of = [&](std::int64_t n) { return fit(r.plan, r.profile, {{decode(n, length - 1, new_tokens)}, n, length}, s.gpu_mem_fraction); };
  const auto sequences = s.decode.batch > 0 ? s.decode.batch : std::max<std::int64_t>(fit_of(1).largest_batch, 1);
  e.batch = decode(sequences, context, new_tokens);
  e.fit = fit_of(sequences);
  e.reason = e.fit.reason;
  const auto t = r.step(e.batch, &e.trace);
  const auto in_flight = static_cast<double>(s.decode.layout.micro_batches);
  e.step = std::max(t.latency, in_flight * t.slowest);
  e.interval = e.step / in_flight;
  out.tokens_per_step = 1 + w.nextn_accepted;
  out.tpot = e.step / out.tokens_per_step;
  out.tokens_per_second_per_user = 1 / out.tpot.value;
  const double a_second = in_flight * static_cast<double>(sequences * e.layout.dp) * out.tokens_per_second_per_user;
  e.tokens_per_second_per_gpu = a_second / static_cast<double>(e.gpus);
  out.request_rate = a_second / static_cast<double>(std::max<std::int64_t>(w.osl - 1, 1));  // the first token is prefill's
  note_sources(e);
  return 1 / e.tokens_per_second_per_gpu;
}

void price(const Scenario& s, const PrefillCosts& prefill, double decode_cost, Estimate& out) {
  const auto typical = [&](const std::string& system) -> std::optional<double> {
    if (s.prices.usd_per_gpu_hour) return s.prices.usd_per_gpu_hour;
    const auto price = hardware_profiles::find_profile(system).price;
    return price ? std::optional(price->typical) : std::nullopt;
  };
  const auto in = typical(s.prefill.system), out_price = typical(s.decode.system);
  if (!in || !out_price) return;
  out.usd_per_gpu_hour = out_price;
  out.prefill_usd_per_gpu_hour = in;
  const auto per_million = [&](double gpu_seconds_per_token, double hourly) { return gpu_seconds_per_token * hourly / 3600 / s.prices.utilisation * 1e6; };
  out.costs = Costs{per_million(prefill.per_new_token, *in), per_million(prefill.per_cached_token, *in), per_million(decode_cost, *out_price)};
  const auto list = api_price(s.model);
  const auto paid = [&](std::optional<double> given, double ApiPrice::*listed) { return given ? *given : list ? (*list).*listed : 0.0; };
  const auto margin = [](double price, double cost) { return 1 - cost / price; };
  const auto miss = paid(s.prices.api_input_miss, &ApiPrice::input_miss), hit = paid(s.prices.api_input_hit, &ApiPrice::input_hit);
  const auto output = paid(s.prices.api_output, &ApiPrice::output);
  if (miss <= 0 || hit <= 0 || output <= 0) return;
  out.margins = Margins{margin(miss, out.costs->input_miss), margin(hit, out.costs->input_hit), margin(output, out.costs->output)};
}

}  // namespace

Estimate estimate(const Scenario& s) {
  Estimate out;
  for (auto [phase, e] : {std::pair{&s.prefill, &out.prefill}, std::pair{&s.decode, &out.decode}}) {
    e->layout = phase->layout;
    e->system = phase->system;
    e->gpus = gpus(phase->layout);
  }
  const auto prefill_cost = estimate_prefill(s, out);
  const auto decode_cost = estimate_decode(s, out);
  if (!out.feasible()) return out;
  out.request_latency = out.ttft + static_cast<double>(s.workload.osl - 1) * out.tpot;
  const double input_rate = out.request_rate * static_cast<double>(s.workload.isl - s.workload.prefix);
  out.prefill_gpus_per_decode_gpu = input_rate / out.prefill.tokens_per_second_per_gpu / static_cast<double>(out.decode.gpus);
  out.gpu_seconds_per_new_token = prefill_cost.per_new_token;
  price(s, prefill_cost, decode_cost, out);
  return out;
}

}  // namespace fathom::simulator
