#include "gui/models/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/flags.h"
#include "gui/models/value.h"
#include "model_spec/model_fields.h"

namespace fathom::gui {
namespace {

using enum SettingKind;

constexpr double largest_whole = 9007199254740992;  // 2^53
constexpr double almost_all = 0.9999;               // of a share that leaves something: the most that does not read as 100%
constexpr std::string_view model = "Model", hardware = "Hardware", layout = "Layout", serving = "Serving", workload = "Workload", prices = "Prices";

struct Row {
  std::string_view group, key;  // key without phase if there is a column for each
  std::string_view label, unit, help;
  double step = 0;
  std::string_view zero{}, share_of{};
  bool phases = false;
};

constexpr std::array rows{
    Row{model, "model.name", "Model", "", "A model that is known, or a file: a model spec or a config.json"},
    Row{model, "model.storage.routed_experts", "Expert weights", "", "How the weights of the routed experts are stored"},
    Row{model, "model.layers.0.repeat", "Dense layers", "", "Layers in the first run of equal layers", 1},
    Row{model, "model.layers.1.repeat", "MoE layers", "", "Layers in the second run of equal layers", 1},
    Row{model, "model.n_routed_experts", "Routed experts", "", "Experts that a token may be sent to, per layer"},
    Row{model, "model.num_experts_per_tok", "Experts per token", "", "Routed experts that each token is sent to", 1},
    Row{model, "model.index_n_heads", "Indexer heads", "", "Heads of the lightning indexer"},
    Row{model, "model.index_head_dim", "Indexer head width", "", "A power of two above the rotated part of a head"},
    Row{model, "model.index_topk", "Indexer top-k", "tokens", "Keys that sparse attention looks at"},
    Row{model, "model.max_position_embeddings", "Longest context", "tokens", "Input and output tokens together must fit it"},

    Row{hardware, "system", "System", "", "The machine that runs the model"},
    Row{hardware, "decode_system", "Decode system", "", "If decode runs on another machine"},
    Row{hardware, "total_gpus", "GPUs in the cluster", "", "Limits the layouts; auto: as many as the layout wants", 0, "auto"},
    Row{hardware, "gpu_mem_fraction", "Memory to fill", "", "Share of usable GPU memory that may be filled"},

    Row{layout, "layout.tp", "Tensor parallel", "", "Attention heads, dense FFN and vocabulary over this many GPUs", 0, "", "", true},
    Row{layout, "layout.dp", "Data parallel", "", "Requests over this many attention ranks", 0, "", "", true},
    Row{layout, "layout.pp", "Pipeline stages", "", "Layers over this many stages", 0, "", "", true},
    Row{layout, "layout.ep", "Expert parallel", "", "Experts over this many GPUs; tp * dp = etp * ep", 0, "", "", true},
    Row{layout, "layout.etp", "Expert tensor par.", "", "Tensor parallel inside an expert; tp * dp = etp * ep", 0, "", "", true},
    Row{layout, "layout.redundant_experts", "Extra experts", "", "Copies placed besides the model's experts", 8, "", "", true},
    Row{layout, "layout.micro_batches", "Micro-batches", "", "In flight at once through the pipeline", 1, "", "", true},

    Row{serving, "batch", "Batch per rank", "", "Sequences per data-parallel rank; auto: prefill fills a chunk, decode takes the most that fits", 0, "auto", "",
        true},
    Row{serving, "prefill.policy.overlap", "Prefill overlap", "", "Exchanges of prefill hide behind a second batch"},
    Row{serving, "decode.policy.overlap", "Decode overlap", "", "Exchanges of decode hide behind a second batch"},
    Row{serving, "policy.chunked_prefill_tokens", "Prefill chunk", "tokens", "Most new tokens that a rank works on in one step"},
    Row{serving, "policy.prefill_attention", "Prefill attention", "", "Form of sparse attention in prefill; auto: whichever does less work"},
    Row{serving, "policy.cache", "KV cache", "", "How the latent cache is stored; auto: as the model's engines do"},
    Row{serving, "policy.dispatch", "Dispatch", "", "How tokens travel to experts; auto: low latency for small batches"},
    Row{serving, "policy.mtp_depth", "Draft tokens", "", "Drafts a step by multi-token prediction (MTP)", 1},
    Row{serving, "workload.nextn_accepted", "Drafts accepted", "", "Accepted on average, of the drafts of a step"},
    Row{serving, "policy.fused", "Fused kernels", "", "Neighbouring operators run as one kernel, as production engines do"},

    Row{workload, "workload.isl", "Input tokens", "tokens", "Input tokens of a request (ISL)"},
    Row{workload, "workload.osl", "Output tokens", "tokens", "Output tokens of a request (OSL)"},
    Row{workload, "workload.prefix", "Cached prefix", "tokens", "Input tokens found in the prefix cache"},
    Row{workload, "workload.prefix", "Prefix-cache hits", "", "The cached prefix as a share of the input tokens", 0, "", "workload.isl"},

    Row{prices, "prices.usd_per_gpu_hour", "GPU-hour", "USD", "What an hour of one GPU costs; if not set: typical for the machine"},
    Row{prices, "prices.utilisation", "Utilisation", "", "Share of the paid hours in which the GPUs work"},
    Row{prices, "prices.api_input_miss", "API input, missed", "USD/Mtok", "What customers pay for a million input tokens that the prefix cache missed"},
    Row{prices, "prices.api_input_hit", "API input, cached", "USD/Mtok", "What customers pay for a million input tokens found in the prefix cache"},
    Row{prices, "prices.api_output", "API output", "USD/Mtok", "What customers pay for a million output tokens"},
};

// What the machine's flag for the storage of experts takes.
std::vector<std::string> storage_words() {
  const auto flag = std::ranges::find(cli::flags(), "--expert-weights", &cli::Flag::names);
  std::vector<std::string> out;
  for (const auto choice : cli::split(flag->words, '|')) out.emplace_back(cli::split(choice, '=').back());
  return out;
}

std::vector<SettingInfo> model_keys() {
  std::vector<SettingInfo> out{{.key = "model.storage.routed_experts", .kind = word, .words = storage_words()}};
  const auto whole = [&](std::string_view key, std::int64_t most) {
    out.push_back({.key = fmt::format("model.{}", key), .kind = integer, .least = 1, .most = static_cast<double>(most)});
  };
  for (const auto* key : {"layers.0.repeat", "layers.1.repeat"}) whole(key, max_layers);
  for (const auto& f : size_fields) whole(f.key, f.most);
  for (const auto& f : indexer_fields) whole(f.key, f.most);
  return out;
}

template <class Sources>
std::vector<std::string> names_of(const Sources& sources) {
  std::vector<std::string> out;
  for (const auto& s : sources) out.push_back(s.name);
  return out;
}

double step_of(const Row& row, const SettingInfo& info, bool percent) {
  if (percent) return 0.01;
  return info.kind == number ? 0.1 : row.step;
}

Field field_of(const Row& row, const std::string& prefix, const std::vector<SettingInfo>& keys) {
  const auto key = prefix + std::string(row.key);
  Field f{.info = {},
          .group = std::string(row.group),
          .label = std::string(row.label),
          .unit = std::string(row.unit),
          .help = std::string(row.help),
          .zero = std::string(row.zero),
          .share_of = std::string(row.share_of)};
  f.info.key = key;
  f.info = *std::ranges::find(keys, shown_key(f), &SettingInfo::key);
  f.info.key = key;
  if (key == "model.name") f.info.words = names_of(list_models());
  if (key.ends_with("system")) f.info.words = names_of(hardware_profiles::list_profiles());
  f.percent = !row.share_of.empty() || (f.info.kind == number && f.info.most <= 1);
  f.step = step_of(row, f.info, f.percent);
  return f;
}

std::vector<Field> make_fields() {
  auto keys = scenario_keys();
  std::ranges::move(model_keys(), std::back_inserter(keys));
  std::vector<Field> out;
  for (const auto& row : rows) {
    if (!row.phases) out.push_back(field_of(row, "", keys));
    for (const auto p : {PhaseName::prefill, PhaseName::decode}) {
      if (!row.phases) continue;
      out.push_back(field_of(row, fmt::format("{}.", name_of(p)), keys));
      out.back().phase = p;
    }
  }
  return out;
}

bool has_field(std::string_view key) {
  return std::ranges::any_of(scenario_fields(), [&](const Field& f) { return f.info.key == key; });
}

// As it is shown: 0.9 of "90%", and of "90" where nothing above 1 makes sense.
std::optional<double> quantity_of(const Field& f, std::string_view typed) {
  std::string text(typed);
  std::erase(text, ' ');
  if (!f.zero.empty() && text == f.zero) return 0;
  if (text.ends_with('s') || text.ends_with("min")) return std::nullopt;  // no field is a time
  const auto v = cli::parse_quantity(text);
  return v && f.percent && *v > 1 && !text.ends_with('%') ? *v / 100 : v;
}

std::optional<std::string> number_literal(const Field& f, double v, double whole) {
  if (!f.share_of.empty()) v = std::round(v * whole);
  if (f.info.kind == number) return toml_number(v);
  if (v != std::floor(v) || std::abs(v) > largest_whole) return std::nullopt;
  return std::to_string(static_cast<std::int64_t>(v));
}

// As it is typed.
std::string text_of(const Field& f, double shown) {
  if (f.percent) return fmt::format("{:.4g}%", 100 * shown);
  return shown == 0 && !f.zero.empty() ? f.zero : fmt::format("{:.15g}", shown);
}

std::vector<Setting> model_settings(const ModelSpec& m) {
  constexpr auto origin = "Of the model";
  auto out = parse_settings(write_model_toml(m), "");
  for (auto& s : out) s = {"model." + s.key, s.literal, origin};
  for (std::size_t i = 0; i < m.layers.size(); ++i) out.push_back({fmt::format("model.layers.{}.repeat", i), std::to_string(m.layers[i].repeat), origin});
  return out;
}

}  // namespace

const std::vector<Field>& scenario_fields() {
  static const auto fields = make_fields();
  return fields;
}

std::vector<Setting> values_in_force(const Answer& a) {
  auto out = a.settings;
  if (a.scenario) std::ranges::move(model_settings(a.scenario->model), std::back_inserter(out));
  if (a.estimate && a.estimate->usd_per_gpu_hour)
    out.push_back({"prices.usd_per_gpu_hour", toml_number(*a.estimate->usd_per_gpu_hour), "Typical for the machine"});
  return out;
}

std::string shown_key(const Field& f) {
  const auto& key = f.info.key;
  if (!key.starts_with("policy.")) return key;
  const bool of_prefill = key.find("prefill") != std::string::npos;
  return fmt::format("{}.{}", name_of(of_prefill ? PhaseName::prefill : PhaseName::decode), key);
}

std::vector<std::string> keys_behind(const Field& f) {
  std::vector<std::string> out{f.info.key};
  for (const auto p : {PhaseName::prefill, PhaseName::decode}) {
    const auto closer = fmt::format("{}.{}", name_of(p), f.info.key);
    if (general_key(closer) == f.info.key && !has_field(closer)) out.push_back(closer);
  }
  const auto general = general_key(f.info.key);
  if (!general.empty() && !has_field(general)) out.push_back(general);
  return out;
}

std::optional<std::string> literal_of(const Field& f, std::string_view typed, double whole) {
  const auto begin = std::min(typed.find_first_not_of(' '), typed.size());
  const auto text = typed.substr(begin, typed.find_last_not_of(' ') + 1 - begin);
  if (f.info.kind == SettingKind::text) return text.empty() ? std::nullopt : std::optional(toml_string(text));
  if (f.info.kind == word) return std::ranges::count(f.info.words, text) > 0 ? std::optional(toml_string(text)) : std::nullopt;
  if (f.info.kind == boolean) return text == "true" || text == "false" ? std::optional(std::string(text)) : std::nullopt;
  const auto v = quantity_of(f, text);
  return v ? number_literal(f, *v, whole) : std::nullopt;
}

std::string typed_of(const Field& f, const std::string& literal, double whole) {
  const auto value = value_of(literal);
  if (const auto* text = std::get_if<std::string>(&value.data)) return *text;
  const auto v = number_of(value.data);
  if (!v) return literal;
  return text_of(f, f.share_of.empty() ? *v : *v / std::max(whole, 1.0));
}

std::string stepped(const Field& f, std::string_view typed, int steps, double whole) {
  auto v = quantity_of(f, typed).value_or(f.info.least);
  for (; f.step == 0 && steps > 0; --steps) v = std::max(1.0, 2 * v);
  for (; f.step == 0 && steps < 0; ++steps) v = std::floor(v / 2);
  const double most = f.share_of.empty() ? f.info.most : std::clamp((whole - 1) / std::max(whole, 1.0), 0.0, almost_all);
  v = std::clamp(v + steps * f.step, f.info.least, most);
  return text_of(f, v);
}

std::string range_of(const Field& f) {
  const auto limit = [&](double v) { return f.percent ? text_of(f, v) : shown(Cell{v}, f.info.kind == integer ? Kind::count : Kind::real); };
  if (f.info.kind == word) return fmt::format("{}", fmt::join(f.info.words, ", "));
  if (f.info.kind != integer && f.info.kind != number) return {};
  if (!f.share_of.empty()) return fmt::format("{} to less than {}", limit(f.info.least), limit(1));
  return fmt::format("{} to {}", limit(f.info.least), limit(f.info.most));
}

}  // namespace fathom::gui
