#include "cli/executor/run_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "model_spec/version.h"

namespace fathom::cli {
namespace {

struct Sums {
  std::int64_t prompt_tokens = 0, new_tokens = 0, drafted = 0, accepted = 0, prefill_tokens = 0;
  Seconds prefill;
  std::vector<double> decode_ms;
  double sent_bytes = 0;
};

Sums sums_of(const executor::RunOptions& options, const executor::RunResult& result) {
  Sums s;
  for (const auto& r : options.requests) s.prompt_tokens += std::ssize(r.prompt);
  for (const auto& g : result.requests) {
    s.new_tokens += std::ssize(g.ids);
    s.drafted += g.drafted;
    s.accepted += g.accepted;
  }
  for (const auto& step : result.steps) {
    s.sent_bytes += step.sent_bytes;
    if (is_decode(step.batch, options.policy.mtp_depth)) {
      s.decode_ms.push_back(step.time.value * 1e3);
      continue;
    }
    s.prefill += step.time;
    s.prefill_tokens += step.batch.all_tokens(options.layout.dp);
  }
  return s;
}

Cell median(std::vector<double> values) {
  if (values.empty()) return {};
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  return *middle;
}

Cell per_second(std::int64_t count, double seconds) { return seconds > 0 ? Cell{static_cast<double>(count) / seconds} : Cell{}; }

std::string weights_text(const Subject& subject) { return subject.seed ? fmt::format("synthetic, seed {}", *subject.seed) : subject.folder->string(); }

Table summary_table(const Subject& subject, const executor::RunOptions& options, const executor::RunResult& result, const Sums& s) {
  const auto& m = options.model;
  Table t{.key = "run", .title = {}, .form = Form::columns, .fields = {}, .records = {{}}};
  const auto add = [&](const char* key, const char* heading, Kind kind, Cell value) {
    t.fields.push_back({key, heading, kind});
    t.records[0].cells.push_back(std::move(value));
  };
  add("version", "version", Kind::text, std::string(version()));
  add("model", "model", Kind::text, m.name);
  add("layers", "layers", Kind::count, num_hidden_layers(m));
  add("routed_experts", "routed experts", Kind::count, m.n_routed_experts);
  add("weights", "weights", Kind::text, weights_text(subject));
  add("layout", "layout", Kind::text, label(options.layout));
  add("backend", "backend", Kind::text, options.backend_name);
  add("numerics", "numerics", Kind::text, std::string(name_of(options.numerics)));
  add("weight_bytes_per_rank", "weights of a rank, B", Kind::real, result.weight_bytes);
  add("load_s", "loading, s", Kind::real, result.load_seconds);
  add("run_s", "running, s", Kind::real, result.run_seconds);
  add("prefill_tokens_per_second", "prefill tokens/s", Kind::real, per_second(s.prefill_tokens, s.prefill.value));
  add("decode_ms_per_step", "decode step, ms (median)", Kind::real, median(s.decode_ms));
  add("output_tokens_per_second", "output tokens/s", Kind::real, per_second(s.new_tokens, result.run_seconds));
  add("drafted", "drafts", Kind::count, s.drafted);
  add("accepted", "drafts accepted", Kind::count, s.accepted);
  add("sent_bytes", "sent by rank 0, B", Kind::real, s.sent_bytes);
  return t;
}

Table prompts_table(const std::vector<Prompt>& prompts, const executor::RunResult& result, const executor::Tokenizer* tokenizer) {
  Table t{.key = "prompts",
          .title = "Prompts",
          .form = Form::paragraphs,
          .fields = {{"prompt", "", Kind::count},
                     {"source", "", Kind::text},
                     {"prompt_tokens", "tokens", Kind::count},
                     {"shared_tokens", "shared", Kind::count},
                     {"drafted", "drafted", Kind::count},
                     {"accepted", "accepted", Kind::count},
                     {"ids", "ids", Kind::text},
                     {"text", "text", Kind::text}},
          .records = {}};
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto& made = result.requests[i];
    t.records.push_back({"",
                         {static_cast<std::int64_t>(i + 1), prompts[i].source, static_cast<std::int64_t>(std::ssize(prompts[i].ids)), made.shared_tokens,
                          made.drafted, made.accepted, made.ids, tokenizer ? Cell{tokenizer->decode(made.ids)} : Cell{}}});
  }
  return t;
}

Table steps_table(const executor::RunOptions& options, const executor::RunResult& result) {
  Table t{.key = "steps",
          .title = {},
          .form = Form::rows,
          .fields = {{"phase", "", Kind::text},
                     {"sequences", "", Kind::count},
                     {"tokens", "", Kind::count},
                     {"logits", "", Kind::count},
                     {"ms", "", Kind::real},
                     {"sent_bytes", "", Kind::real}},
          .records = {},
          .machines_only = true};
  for (const auto& step : result.steps)
    t.records.push_back({"",
                         {std::string(is_decode(step.batch, options.policy.mtp_depth) ? "decode" : "prefill"), step.batch.sequences(), step.batch.tokens(),
                          step.batch.sampled, step.time.value * 1e3, step.sent_bytes}});
  return t;
}

Cell ratio(Seconds a, Seconds b) { return b > Seconds{} ? Cell{a.value / b.value} : Cell{}; }

std::string answer_of(const executor::RunOptions& options, const Sums& s) {
  return fmt::format("ran: {}, {} layers: {} tokens of {} prompt{}, {} new ones", options.model.name, num_hidden_layers(options.model), s.prompt_tokens,
                     options.requests.size(), options.requests.size() == 1 ? "" : "s", s.new_tokens);
}

}  // namespace

bool is_decode(const Batch& batch, std::int64_t drafts) {
  return std::ranges::all_of(batch.groups, [&](const Group& g) { return g.new_tokens <= 1 + drafts && g.cached_tokens > 0; });
}

Report report_of(const Subject& subject, const executor::RunOptions& options, const std::vector<Prompt>& prompts, const executor::RunResult& result,
                 const executor::Tokenizer* tokenizer) {
  const auto s = sums_of(options, result);
  const auto outputs = prompts_table(prompts, result, tokenizer);
  Report report{.answer = answer_of(options, s),
                .tables = {summary_table(subject, options, result, s), outputs, steps_table(options, result)},
                .notes = {},
                .csv = outputs};
  if (!tokenizer) report.notes.emplace_back("ids only: there is no tokenizer.json with the model");
  return report;
}

Table compared_table(const ComparedStep& step) {
  const auto& c = step.comparison;
  Table t{.key = "compared_" + step.name,
          .title = fmt::format("The {} step by operator: measured beside predicted", step.name),
          .form = Form::rows,
          .fields = {{"operator", "operator", Kind::text},
                     {"runs", "runs", Kind::count},
                     {"measured_ms", "measured, ms", Kind::real},
                     {"predicted_ms", "predicted, ms", Kind::real},
                     {"ratio", "ratio", Kind::real}},
          .records = {}};
  Seconds measured;
  for (const auto& row : c.labels) {
    t.records.push_back({"", {std::string(row.label), row.runs, row.measured.value * 1e3, row.predicted.value * 1e3, ratio(row.measured, row.predicted)}});
    measured += row.measured;
  }
  t.records.push_back({"", {std::string("between operators"), Cell{}, (c.measured - measured).value * 1e3, Cell{}, Cell{}}});  // predicted without
  t.records.push_back({"", {std::string("all"), Cell{}, c.measured.value * 1e3, c.predicted.value * 1e3, ratio(c.measured, c.predicted)}});
  return t;
}

}  // namespace fathom::cli
