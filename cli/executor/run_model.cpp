// fathom run: everything that can be refused is refused before weights are loaded; files are written when all is done.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "cli/executor/backend.h"
#include "cli/executor/machine.h"
#include "cli/executor/options.h"
#include "cli/executor/progress.h"
#include "cli/executor/prompts.h"
#include "cli/executor/run_report.h"
#include "cli/executor/verbs.h"
#include "cli/output.h"
#include "cli/trace_json.h"
#include "executor/record.h"
#include "simulator/machine.h"
#include "simulator/simulate.h"

namespace fathom::cli {
namespace {

constexpr std::int64_t many = 100'000'000, largest_seed = std::int64_t{1} << 53;

std::vector<executor::Request> requests_of(const Request& request, const Subject& s, const std::vector<Prompt>& prompts) {
  const auto tokens = whole_option(request, "max-new-tokens", 1, many).value_or(16);
  std::vector<executor::Request> out;
  for (const auto& prompt : prompts) {
    const auto all = std::ssize(prompt.ids) + tokens;
    if (all > s.model.max_position_embeddings)
      throw Error(Failure::usage, fmt::format("{}: {} tokens and {} new ones are more than the {} positions of {}", prompt.source, prompt.ids.size(), tokens,
                                              s.model.max_position_embeddings, s.model.name));
    out.push_back({.prompt = prompt.ids, .max_new_tokens = tokens, .forced = {}, .end = request.has("ignore-eos") ? std::nullopt : s.end_of_text});
  }
  return out;
}

executor::RunOptions options_of(const Request& request, const Subject& s, const std::vector<Prompt>& prompts) {
  executor::RunOptions o{.model = s.model,
                         .layout = s.layout,
                         .policy = s.policy,
                         .numerics = numerics_of(request),
                         .weights = s.weights,
                         .backend = backend_of(request),
                         .backend_name = request.option("backend", "cpu"),
                         .requests = requests_of(request, s, prompts),
                         .sampling = {.temperature = static_cast<float>(number_option(request, "temperature", 0, 100).value_or(0)),
                                      .top_p = static_cast<float>(number_option(request, "top-p", 1e-6, 1).value_or(1)),
                                      .seed = static_cast<std::uint64_t>(whole_option(request, "seed", 0, largest_seed).value_or(0))},
                         .max_sequences = whole_option(request, "max-sequences", 1, many).value_or(256),
                         .pages = whole_option(request, "pages", 1, many),
                         .traces = request.has("trace") || request.has("compare"),
                         .dump = request.has("dump"),
                         .dump_rows = whole_option(request, "dump-rows", 1, many).value_or(0),
                         .force = {},
                         .progress = {}};
  if (request.has("force")) o.force = request.option("force");
  return o;
}

void check_files(const Request& request, const executor::RunOptions& o) {
  for (const auto* flag : {"dump", "trace", "output"})
    if (request.has(flag) && request.option(flag) != "-") check_writable(request.option(flag));
  std::error_code none;
  const std::filesystem::path dump = request.option("dump");
  if (o.dump && std::filesystem::exists(dump, none) && !std::filesystem::is_regular_file(dump, none))
    throw Error(Failure::usage, fmt::format("--dump: {} is not a file that can be replaced", dump.string()));
  if (o.force) static_cast<void>(executor::Forcing::read(*o.force, o.model, std::ssize(o.requests[0].prompt), o.policy.mtp_normed_hidden));
}

// Why synthetic weights of all ranks together, as they are stored, are too much for this machine. A checkpoint's stay in their files; a GPU makes
// them in its own memory, and says itself what does not fit.
std::string memory_reason(const Subject& s, const executor::RunOptions& o) {
  if (!s.seed || o.backend_name != "cpu") return {};
  double bytes = 0;
  for (const auto& stage : plan(s.model, s.layout, s.policy).stages)
    for (const auto part : stage.weight_bytes) bytes += part * static_cast<double>(stage_ranks(s.layout));
  const auto there = available_bytes();
  if (!there || bytes <= *there) return {};
  return fmt::format("the weights take {:.3g} GB, and {:.3g} GB of memory are free; --layers N and --experts N make a smaller model", bytes / 1e9,
                     *there / 1e9);
}

// What --compare needs, made ready before anything runs.
class Predictor {
 public:
  Predictor(const std::string& system, const Subject& s) : plan_(plan(s.model, s.layout, serial(s.policy), true)) {
    const auto profile = hardware_profiles::find_profile(system);
    const auto& calibration = s.calibration.empty() ? profile.calibration_name : s.calibration;
    machine_ = prepare(profile, hardware_profiles::find_calibration(calibration), plan_);
    if (!machine_.refusal.empty()) throw Error(Failure::usage, fmt::format("--compare: {}: {}", profile.name, machine_.refusal));
  }

  // The first step with a prompt, and the last one without.
  void add_to(Report& report, const std::vector<executor::StepRecord>& steps, bool on_cpu) {
    const auto decodes = [&](const executor::StepRecord& s) { return is_decode(s.batch, plan_.policy.mtp_depth); };
    const auto prefill = std::ranges::find_if_not(steps, decodes);
    const auto decode = std::ranges::find_if(steps.rbegin(), steps.rend(), decodes);
    if (prefill != steps.end()) report.tables.push_back(compared_table({"prefill", compared(*prefill)}));
    if (decode != steps.rend()) report.tables.push_back(compared_table({"decode", compared(*decode)}));
    const auto predicted = fmt::format("predicted for {} of {} in the arithmetic of the deployed model",
                                       gpus(plan_.layout) == 1 ? "one GPU" : fmt::format("{} GPUs", gpus(plan_.layout)), machine_.profile.name);
    report.notes.push_back(on_cpu ? "measured on this computer's CPU, " + predicted + ": ratios say where the time goes, not how well a GPU was predicted"
                                  : "measured on this computer's GPU; a step that comes for the first time is launched kernel by kernel; events between the "
                                    "operators take part of the time, and operators that share a kernel show theirs where it is launched; " +
                                        predicted);
  }

 private:
  static Policy serial(Policy policy) {  // as the executor runs it
    policy.overlap = Overlap::none;
    return policy;
  }

  Comparison compared(const executor::StepRecord& step) {
    std::vector<Trace> predicted(plan_.stages.size());
    for (std::size_t stage = 0; stage < predicted.size(); ++stage) simulate(plan_, stage, machine_, step.batch, bound_, predicted[stage]);
    return compare(step.stages, predicted);
  }

  Plan plan_;
  Machine machine_;
  BoundPlan bound_;
};

executor::RunResult run_with_progress(executor::RunOptions& options) {
  Progress progress;
  options.progress = [&](const std::string& what, double done) { progress.show(what, done); };
  auto result = executor::run(options);
  options.progress = {};
  return result;
}

void write_files(const Request& request, const executor::RunResult& result) {
  if (request.has("dump")) executor::write_safetensors(request.option("dump"), result.dump);
  if (!request.has("trace")) return;
  std::vector<std::vector<Trace>> steps;
  for (const auto& step : result.steps) steps.push_back(step.stages);
  write_file(request.option("trace"), measured_trace_json(steps));
}

}  // namespace

Outcome run_model(const Request& request) {
  const auto subject = subject_of(request);
  const auto tokenizer = tokenizer_of(subject);
  const auto* words = tokenizer ? &*tokenizer : nullptr;
  const auto prompts = prompts_of(request, subject, words);
  auto options = options_of(request, subject, prompts);
  auto reason = executor::check(options).value_or("");
  if (reason.empty()) reason = backend_reason(request, options).value_or("");
  if (reason.empty()) reason = memory_reason(subject, options);
  if (!reason.empty()) return {.data = {}, .exit = Exit::infeasible, .remarks = {"cannot run: " + reason}};
  check_files(request, options);
  std::optional<Predictor> predictor;
  if (request.has("compare")) predictor.emplace(request.option("compare"), subject);
  const auto result = run_with_progress(options);
  std::signal(SIGINT, SIG_IGN);  // what is to be written is written whole
  auto report = report_of(subject, options, prompts, result, words);
  if (predictor) predictor->add_to(report, result.steps, options.backend_name == "cpu");
  write_files(request, result);
  auto form = request;
  form.options.try_emplace("format", std::vector<std::string>{"json"});
  return {.data = rendered(report, form)};
}

}  // namespace fathom::cli
