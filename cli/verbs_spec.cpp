#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/flags.h"
#include "cli/output.h"
#include "cli/tables.h"
#include "cli/verbs.h"
#include "model_spec/embedded.h"
#include "model_spec/plan.h"
#include "model_spec/tensors.h"

namespace fathom::cli {
namespace {

Report list_report() {
  Table t{.key = "models",
          .title = {},
          .form = Form::rows,
          .fields = {{"name", "name", Kind::text}, {"aliases", "also", Kind::text}, {"origin", "origin", Kind::text}},
          .records = {}};
  for (const auto& m : list_models()) t.records.push_back({"", {m.name, fmt::format("{}", fmt::join(m.aliases, ", ")), m.origin}});
  return {.answer = {}, .tables = {t}, .notes = {}, .csv = {}};
}

Table sums_table(const ModelSpec& m, const TensorTable& tensors) {
  Table t{.key = "sums",
          .title = "What the spec adds up to",
          .form = Form::rows,
          .fields = {{"quantity", "", Kind::text}, {"value", "", Kind::count}, {"unit", "", Kind::text}},
          .records = {}};
  const auto add = [&](const char* quantity, std::int64_t value, const char* unit) {
    t.records.push_back({"", {std::string(quantity), value, std::string(unit)}});
  };
  const auto main_model = totals(m, tensors, Scope::main_model), checkpoint = totals(m, tensors, Scope::checkpoint);
  add("parameters, main model", main_model.parameters, "");
  add("parameters, checkpoint with MTP layers", checkpoint.parameters, "");
  add("active per token, with head", active_parameters(m, tensors, true, false), "");
  add("active per token, without head", active_parameters(m, tensors, false, false), "");
  add("bytes of the checkpoint", checkpoint.bytes, "B");
  add("tensors of the checkpoint", checkpoint.tensors, "");
  for (const auto format : {CacheFormat::fp8, CacheFormat::bf16}) {
    const auto p = plan(m, {}, {.cache = format});
    add(format == CacheFormat::fp8 ? "cache per token, latent in FP8" : "cache per token, latent in BF16",
        static_cast<std::int64_t>((latent_cache_per_token(p, 0) + index_cache_per_token(p, 0)).value), "B");
  }
  return t;
}

constexpr std::array<std::string_view, 2> attention_names{"mla", "mla_sparse"}, ffn_names{"dense", "moe"};

Table layers_table(const ModelSpec& m, const TensorTable& tensors) {
  Table t{.key = "layers",
          .title = "Layers",
          .form = Form::rows,
          .fields = {{"first", "from", Kind::count},
                     {"count", "layers", Kind::count},
                     {"attention", "attention", Kind::text},
                     {"ffn", "ffn", Kind::text},
                     {"parameters", "parameters each", Kind::count},
                     {"bytes", "bytes each", Kind::count}},
          .records = {}};
  const auto add = [&](const LayerRun& run) {
    const auto sum = layer_totals(tensors, run.first);
    t.records.push_back({"",
                         {run.first, run.count, std::string(attention_names[static_cast<std::size_t>(run.attention)]),
                          std::string(ffn_names[static_cast<std::size_t>(run.ffn)]), sum.parameters, sum.bytes}});
  };
  for (const auto& run : layer_runs(m)) add(run);
  if (m.num_nextn_predict_layers > 0) add(mtp_layer(m));
  return t;
}

Table parts_table(const TensorTable& tensors) {
  Table t{.key = "parts",
          .title = "Weights by part (with MTP layers)",
          .form = Form::rows,
          .fields = {{"part", "part", Kind::text}, {"parameters", "parameters", Kind::count}, {"bytes", "bytes", Kind::count}},
          .records = {}};
  std::array<TensorTotals, part_count> sums{};
  for (const auto& tensor : tensors) {
    std::int64_t instances = tensor.layers.empty() ? 1 : 0;
    for (const auto& range : tensor.layers) instances += range.count;
    const auto one = totals_of(tensor);
    auto& sum = sums[static_cast<std::size_t>(tensor.part)];
    sum.parameters += one.parameters * instances * tensor.experts;
    sum.bytes += one.bytes * instances * tensor.experts;
  }
  for (std::size_t p = 0; p < part_count; ++p)
    if (sums[p].parameters > 0) t.records.push_back({"", {std::string(part_names[p]), sums[p].parameters, sums[p].bytes}});
  return t;
}

Report sums_report(const ModelSpec& m, const std::string& verdict) {
  const auto tensors = tensor_table(m);
  Report report{.answer = fmt::format("{}{}: {} layers, {}", verdict, m.name, num_hidden_layers(m), m.model_type),
                .tables = {sums_table(m, tensors), layers_table(m, tensors), parts_table(tensors)},
                .notes = {},
                .csv = {}};
  if (!m.source.empty()) report.notes.push_back("source: " + m.source);
  if (num_hidden_layers(m) > 0 && m.num_nextn_predict_layers > 0) report.notes.emplace_back("the layer after the last is the multi-token prediction layer");
  return report;
}

std::string template_text() {
  const auto files = embedded::model_specs();
  return std::string(std::ranges::find(files, "template.toml", &embedded::File::name)->text);
}

ModelSpec import(const std::string& path) {
  std::error_code none;
  const auto file = std::filesystem::is_directory(path, none) ? (std::filesystem::path(path) / "config.json").string() : path;
  return read_hf_config(read_text_file(file), file);
}

ModelSpec read_file(const std::string& path) {
  return path.ends_with(".json") ? read_hf_config(read_text_file(path), path) : read_model_toml(read_text_file(path), path);
}

void refuse_overwriting(const Request& request) {
  std::error_code none;
  const auto file = request.option("output", "-");
  if (file != "-" && std::filesystem::is_regular_file(file, none) && !request.has("force"))
    throw Error(Failure::usage, fmt::format("{} is there already; --force overwrites it", file));
}

}  // namespace

Outcome run_spec(const Request& request) {
  const auto verb = split(request.verb, ' ').back();
  if (verb == "list") return {.data = rendered(list_report(), request)};
  if (verb == "show") return {.data = rendered(sums_report(find_model(needed_argument(request, "the name of a model")), ""), request)};
  if (verb == "check") return {.data = rendered(sums_report(read_file(needed_argument(request, "the file")), "sound: "), request)};
  if (verb == "import") return {.data = write_model_toml(import(needed_argument(request, "the config.json")))};
  refuse_overwriting(request);
  return {.data = template_text()};
}

}  // namespace fathom::cli
