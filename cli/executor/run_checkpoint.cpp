// fathom checkpoint inspect, checkpoint synth.
#include <fmt/format.h>

#include <csignal>
#include <map>

#include "cli/executor/options.h"
#include "cli/executor/progress.h"
#include "cli/executor/subject.h"
#include "cli/executor/verbs.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "executor/checkpoint.h"
#include "executor/checkpoint_tensors.h"

namespace fathom::cli {
namespace {

using executor::Checkpoint;
using executor::Inspection;

struct Sum {
  std::int64_t tensors = 0, bytes = 0;
};

// Which part of the model each tensor of the checkpoint belongs to. Names that the model does not have are "extra".
std::map<std::string, Sum> sums_by_part(const ModelSpec& m, const Inspection& found) {
  const auto table = tensor_table(m);
  std::map<std::string, std::string_view, std::less<>> parts;
  for (const auto& i : executor::instances(table))
    parts[i.name()] = parts[executor::scales_name(i.name())] = part_names[static_cast<std::size_t>(i.tensor->part)];
  std::map<std::string, Sum> sums;
  for (const auto& line : found.tensors) {
    const auto part = parts.find(line.name);
    auto& sum = sums[part == parts.end() ? "extra" : std::string(part->second)];
    ++sum.tensors;
    sum.bytes += line.bytes;
  }
  return sums;
}

std::map<std::string, Sum> sums_by_type(const Inspection& found) {
  std::map<std::string, Sum> sums;
  for (const auto& line : found.tensors) {
    ++sums[line.type].tensors;
    sums[line.type].bytes += line.bytes;
  }
  return sums;
}

Table sums_table(const std::string& key, const std::string& field, const std::string& title, const std::map<std::string, Sum>& sums) {
  Table t{.key = key,
          .title = title,
          .form = Form::rows,
          .fields = {{field, field, Kind::text}, {"tensors", "tensors", Kind::count}, {"bytes", "bytes", Kind::count}},
          .records = {}};
  for (const auto& [name, sum] : sums) t.records.push_back({"", {name, sum.tensors, sum.bytes}});
  return t;
}

Table problems_table(const Inspection& found) {
  Table t{.key = "problems", .title = "Against the model", .form = Form::rows, .fields = {{"kind", "", Kind::text}, {"tensor", "", Kind::text}}, .records = {}};
  for (const auto& [kind, names] : {std::pair{"missing", &found.missing}, {"mismatched", &found.mismatched}, {"extra", &found.extra}})
    for (const auto& name : *names) t.records.push_back({"", {std::string(kind), name}});
  return t;
}

Table tensors_table(const Inspection& found) {
  Table t{.key = "tensors",
          .title = "Tensors",
          .form = Form::rows,
          .fields = {{"name", "name", Kind::text},
                     {"type", "type", Kind::text},
                     {"shape", "shape", Kind::text},
                     {"bytes", "bytes", Kind::count},
                     {"file", "file", Kind::text}},
          .records = {}};
  for (const auto& line : found.tensors) t.records.push_back({"", {line.name, line.type, line.shape, line.bytes, line.file}});
  return t;
}

std::string answer_of(const ModelSpec& m, const Inspection& found) {
  std::string wrong;
  for (const auto& [what, names] : {std::pair{"missing", &found.missing}, {"mismatched", &found.mismatched}, {"extra", &found.extra}})
    if (!names->empty()) wrong += fmt::format(", {} {}", names->size(), what);
  return fmt::format("{}{}: {} layers, {} tensors, {:.4g} GB", wrong.empty() ? "complete: " : wrong.substr(2) + ": ", m.name, num_hidden_layers(m),
                     found.tensors.size(), static_cast<double>(found.bytes) / 1e9);
}

Outcome run_inspect(const Request& request) {
  const auto checkpoint = Checkpoint::open(needed_argument(request, "the folder"));
  const auto found = inspect(checkpoint);
  const bool whole = found.missing.empty() && found.mismatched.empty();
  Report report{.answer = answer_of(checkpoint.model(), found),
                .feasible = whole,
                .tables = {sums_table("parts", "part", "By part", sums_by_part(checkpoint.model(), found)),
                           sums_table("types", "type", "By type", sums_by_type(found)), problems_table(found)},
                .notes = {},
                .csv = {}};
  if (request.has("tensors")) report.csv = report.tables.emplace_back(tensors_table(found));
  return {.data = rendered(report, request), .exit = whole ? Exit::ok : Exit::bad_file};
}

volatile std::sig_atomic_t interrupted = 0;
struct Interrupted {};

// The weights, and after Ctrl-C an exception, so that the half-written folder goes.
class Watched : public executor::WeightSource {
 public:
  Watched(const executor::WeightSource& source, std::int64_t all) : source_(source), all_(static_cast<double>(all)) {}
  executor::StoredMatrix load(const Tensor& t, std::int64_t layer, std::int64_t expert, const executor::Slice& slice) const override {
    if (interrupted != 0) throw Interrupted{};
    progress_.show("writing", done_ / all_);
    done_ += static_cast<double>(totals_of(t).bytes);
    return source_.load(t, layer, expert, slice);
  }

 private:
  const executor::WeightSource& source_;
  double all_;
  mutable double done_ = 0;  // write_checkpoint() loads one after the other
  mutable Progress progress_;
};

Outcome run_synth(const Request& request) {
  const auto folder = request.option("output");
  if (folder.empty()) throw Error(Failure::usage, "checkpoint synth: -o DIR is missing");
  if (!request.has("synthetic")) throw Error(Failure::usage, "checkpoint synth: --synthetic SEED is missing");
  const auto subject = subject_of(request);
  const auto sums = totals(subject.model, tensor_table(subject.model), Scope::checkpoint);
  const auto shard = number_option(request, "shard-GB", 1e-6, 1e6).value_or(4) * 1e9;
  std::signal(SIGINT, [](int) { interrupted = 1; });
  try {
    executor::write_checkpoint(folder, subject.model, Watched(*subject.weights, sums.bytes), static_cast<std::int64_t>(shard));
  } catch (const Interrupted&) { return {.data = {}, .exit = Exit::interrupted}; }
  return {.data = {},
          .remarks = {fmt::format("{}: {} with {} tensors, {:.4g} GB", folder, subject.model.name, sums.tensors, static_cast<double>(sums.bytes) / 1e9)}};
}

}  // namespace

Outcome run_checkpoint(const Request& request) { return request.verb == "checkpoint inspect" ? run_inspect(request) : run_synth(request); }

}  // namespace fathom::cli
