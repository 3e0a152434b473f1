#include "simulator/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "model_spec/plan.h"
#include "simulator/cost_curve.h"
#include "simulator/scenario_settings.h"

namespace fathom::simulator {
namespace {

constexpr std::int64_t most_ranks = 1'000'000, most_tokens = std::int64_t{1} << 32;
constexpr double least_share = 0.001;
constexpr std::string_view default_model = "deepseek-v3.2", default_system = "h800_sxm", built_in = "built in", derived = "derived";

// Values that nobody has given yet.
constexpr std::int64_t absent = 0, absent_redundant = -1;
constexpr auto automatic_cache = static_cast<CacheFormat>(cache_format_names.size());
constexpr std::array<std::string_view, 3> cache_words{cache_format_names[0], cache_format_names[1], "auto"};
constexpr Layout empty_layout{.tp = absent, .dp = absent, .pp = 1, .etp = absent, .ep = absent, .redundant_experts = absent_redundant, .micro_batches = absent};
constexpr std::array<std::string_view, 2> exchange_types{"bf16", "fp8_row"};

// Every key of a scenario, once: `io` reads or writes them.
template <class Io>
void fields(Io&& io, Layout& l) {
  for (const auto& [key, member] : {std::pair{"tp", &Layout::tp},
                                    {"dp", &Layout::dp},
                                    {"pp", &Layout::pp},
                                    {"etp", &Layout::etp},
                                    {"ep", &Layout::ep},
                                    {"micro_batches", &Layout::micro_batches}})
    io.integer(key, l.*member, 1, most_ranks);
  io.integer("redundant_experts", l.redundant_experts, 0, most_ranks);
}

template <class Io>
void fields(Io&& io, Policy& p) {
  io.boolean("fused", p.fused);
  io.word("cache", p.cache, cache_words);
  io.integer("absorb_max_new_tokens", p.absorb_max_new_tokens, 1, most_tokens);
  io.word("prefill_attention", p.prefill_attention, prefill_attention_names);
  io.integer("dense_prefill_max_context", p.dense_prefill_max_context, -1, most_tokens);
  io.integer("dense_decode_max_context", p.dense_decode_max_context, -1, most_tokens);
  io.word("dispatch", p.dispatch, dispatch_choice_names);
  io.integer("low_latency_max_tokens", p.low_latency_max_tokens, 0, most_tokens);
  io.dtype("combine_type", p.combine_type, exchange_types);
  io.integer("mtp_depth", p.mtp_depth, 0, 16);
  io.word("overlap", p.overlap, overlap_names);
  io.integer("chunked_prefill_tokens", p.chunked_prefill_tokens, 1, most_tokens);
  io.number("index_logits_GB", p.index_logits_GB, 1e-6, 1e6);
}

template <class Io>
void fields(Io&& io, Workload& w) {
  io.integer("isl", w.isl, 1, most_tokens);
  io.integer("osl", w.osl, 1, most_tokens);
  io.integer("prefix", w.prefix, 0, most_tokens);
  io.number("nextn_accepted", w.nextn_accepted, 0, 16);
}

template <class Io>
void fields(Io&& io, Prices& p) {
  io.optional("usd_per_gpu_hour", p.usd_per_gpu_hour, 0, 1e6);
  io.number("utilisation", p.utilisation, least_share, 1);
  io.optional("api_input_miss", p.api_input_miss, 0, 1e6);
  io.optional("api_input_hit", p.api_input_hit, 0, 1e6);
  io.optional("api_output", p.api_output, 0, 1e6);
}

template <class Io>
void phase_fields(Io&& io, Phase& p) {
  io.integer("batch", p.batch, 0, most_ranks);
}

template <class Io>
void top_fields(Io&& io, Scenario& s) {
  io.text("system", s.prefill.system);
  io.text("decode_system", s.decode.system);
  io.text("calibration", s.calibration);
  io.integer("total_gpus", s.total_gpus, 0, 10'000'000);
  io.number("gpu_mem_fraction", s.gpu_mem_fraction, least_share, 1);
}

template <std::size_t n>
std::vector<std::string> strings_of(const std::array<std::string_view, n>& words) {
  return {words.begin(), words.end()};
}

struct FromToml {
  TomlReader& in;
  void integer(std::string_view key, std::int64_t& v, std::int64_t least, std::int64_t most) const { v = in.integer_or(key, v, least, most); }
  void number(std::string_view key, double& v, double least, double most) const { v = in.number_or(key, v, least, most); }
  void boolean(std::string_view key, bool& v) const { v = in.boolean_or(key, v); }
  void text(std::string_view key, std::string& v) const { v = in.string_or(key, v); }
  void optional(std::string_view key, std::optional<double>& v, double least, double most) const { v = in.optional_number(key, least, most); }
  template <class Enum, std::size_t n>
  void word(std::string_view key, Enum& v, const std::array<std::string_view, n>& words) const {
    v = static_cast<Enum>(in.word_or(key, strings_of(words), static_cast<std::size_t>(v)));
  }
  template <std::size_t n>
  void dtype(std::string_view key, DType& v, const std::array<std::string_view, n>& words) const {
    const auto now = static_cast<std::size_t>(std::ranges::find(words, name_of(v)) - words.begin());
    v = dtype_from(words[in.word_or(key, strings_of(words), now)]).value_or(v);
  }
};

// Writes the values in force, each with the origin that set it.
struct ToSettings {
  std::string prefix;
  const std::vector<Setting>& laid;
  std::string_view unset;  // origin of what nobody set
  std::vector<Setting>& out;

  void write(std::string_view key, std::string literal) const {
    const auto full = prefix + std::string(key);
    const auto* s = find_setting(laid, full);
    out.push_back({full, std::move(literal), s ? s->origin : std::string(unset)});
  }
  void integer(std::string_view key, std::int64_t& v, std::int64_t, std::int64_t) const { write(key, std::to_string(v)); }
  void number(std::string_view key, double& v, double, double) const { write(key, toml_number(v)); }
  void boolean(std::string_view key, bool& v) const { write(key, v ? "true" : "false"); }
  void text(std::string_view key, std::string& v) const { write(key, toml_string(v)); }
  void optional(std::string_view key, std::optional<double>& v, double, double) const {
    if (v) write(key, toml_number(*v));
  }
  template <class Enum, class Words>
  void word(std::string_view key, Enum& v, const Words& words) const {
    write(key, toml_string(words[static_cast<std::size_t>(v)]));
  }
  template <class Words>
  void dtype(std::string_view key, DType& v, const Words&) const {
    write(key, toml_string(name_of(v)));
  }
};

// Says what may stand at each key.
struct ToInfo {
  std::string prefix;
  std::vector<SettingInfo>& out;

  void add(SettingInfo info, std::string_view key) const {
    info.key = prefix + std::string(key);
    out.push_back(std::move(info));
  }
  void integer(std::string_view key, std::int64_t&, std::int64_t least, std::int64_t most) const {
    add({.kind = SettingKind::integer, .least = static_cast<double>(least), .most = static_cast<double>(most)}, key);
  }
  void number(std::string_view key, double&, double least, double most) const { add({.kind = SettingKind::number, .least = least, .most = most}, key); }
  void boolean(std::string_view key, bool&) const { add({.kind = SettingKind::boolean}, key); }
  void text(std::string_view key, std::string&) const { add({.kind = SettingKind::text}, key); }
  void optional(std::string_view key, std::optional<double>&, double least, double most) const {
    add({.kind = SettingKind::number, .least = least, .most = most, .optional = true}, key);
  }
  template <class Enum, std::size_t n>
  void word(std::string_view key, Enum&, const std::array<std::string_view, n>& words) const {
    add({.kind = SettingKind::word, .words = strings_of(words)}, key);
  }
  template <std::size_t n>
  void dtype(std::string_view key, DType& v, const std::array<std::string_view, n>& words) const {
    word(key, v, words);
  }
};

void read_phase(TomlReader& in, std::string_view key, Phase& phase) {
  in.table_if_any(key, [&](TomlReader& t) {
    phase_fields(FromToml{t}, phase);
    t.table_if_any("layout", [&](TomlReader& l) { fields(FromToml{l}, phase.layout); });
    t.table_if_any("policy", [&](TomlReader& p) { fields(FromToml{p}, phase.policy); });
  });
}

// What the settings say, each by itself; `model` becomes the name or path of the model.
Scenario read_values(const TomlValue& root, Problems& problems, std::string& model) {
  TomlReader in(root, "", "", problems);
  Scenario s;
  s.prefill.layout = empty_layout;
  s.prefill.policy.cache = automatic_cache;
  in.table_if_any("layout", [&](TomlReader& t) { fields(FromToml{t}, s.prefill.layout); });
  in.table_if_any("policy", [&](TomlReader& t) { fields(FromToml{t}, s.prefill.policy); });
  s.decode = s.prefill;
  s.prefill.system = default_system;
  top_fields(FromToml{in}, s);
  if (s.decode.system.empty()) s.decode.system = s.prefill.system;
  read_phase(in, "prefill", s.prefill);
  read_phase(in, "decode", s.decode);
  in.table_if_any("workload", [&](TomlReader& t) { fields(FromToml{t}, s.workload); });
  in.table_if_any("prices", [&](TomlReader& t) { fields(FromToml{t}, s.prices); });
  in.table_if_any("model", [&](TomlReader& t) {
    model = t.string_or("name", model);
    for (const auto& key : t.other_keys()) static_cast<void>(t.has(key));  // overrides: the model's own reader judges them
  });
  in.finish();
  return s;
}

// Looks a name up; an unknown one is a fault of the setting that gave it.
template <class Find>
auto find_named(const Setting* at, std::string_view key, Faults& faults, const Find& find) -> std::optional<decltype(find())> {
  try {
    return find();
  } catch (const Error& e) {
    if (e.failure() != Failure::usage) throw;
    faults.add(at, key, e.what());
    return std::nullopt;
  }
}

// The setting that was made last among some that clash: it is the one to change.
const Setting* last_of(const std::vector<Setting>& laid, std::initializer_list<std::string_view> keys) {
  const Setting* last = nullptr;
  for (const auto key : keys) {
    const auto* s = find_setting(laid, key);
    if (s && (!last || s > last)) last = s;
  }
  return last;
}

void check_workload(const Scenario& s, const std::vector<Setting>& laid, Faults& faults) {
  const auto& w = s.workload;
  if (w.prefix >= w.isl)
    faults.add(last_of(laid, {"workload.isl", "workload.prefix"}), "workload.prefix",
               fmt::format("a cached prefix of {} tokens must leave at least one of the {} input tokens to compute", w.prefix, w.isl));
  if (w.isl + w.osl > s.model.max_position_embeddings)
    faults.add(last_of(laid, {"workload.isl", "workload.osl"}), "workload.isl",
               fmt::format("{} input and {} output tokens are more than the context of {}, {}", w.isl, w.osl, s.model.name, s.model.max_position_embeddings));
  const auto depth = s.decode.policy.mtp_depth;
  if (depth > 0 && s.model.num_nextn_predict_layers == 0)
    faults.add(last_of(laid, {"decode.policy.mtp_depth"}), "policy.mtp_depth", fmt::format("{} has no layers that predict further tokens", s.model.name));
  if (w.nextn_accepted > static_cast<double>(depth))
    faults.add(last_of(laid, {"workload.nextn_accepted", "decode.policy.mtp_depth"}), "workload.nextn_accepted",
               fmt::format("{} accepted drafts a step are more than the {} that are made (mtp_depth, --nextn)", w.nextn_accepted, depth));
}

std::int64_t quotient(std::int64_t a, std::int64_t b) { return a % b == 0 ? a / b : 1; }

// What was not given follows from tp * dp = etp * ep. tp alone slices the experts too, dp alone or ep alone spreads them, as engines do.
// A quotient that is not whole leaves 1; check() then says what does not match.
Layout completed(Layout l) {
  if (l.tp == absent) l.tp = 1;
  if (l.dp == absent) l.dp = l.ep == absent ? 1 : quotient(l.ep * std::max<std::int64_t>(l.etp, 1), l.tp);
  if (l.ep == absent) l.ep = l.etp == absent ? l.dp : quotient(l.tp * l.dp, l.etp);
  if (l.etp == absent) l.etp = quotient(l.tp * l.dp, l.ep);
  if (l.redundant_experts == absent_redundant) l.redundant_experts = 0;
  if (l.micro_batches == absent) l.micro_batches = l.pp;  // one for every stage keeps all of them busy
  return l;
}

bool has_shape(const Layout& l) { return l.tp != absent || l.dp != absent || l.etp != absent || l.ep != absent; }

Layout spread(const Scenario& s, Layout l, std::int64_t ranks) {
  l.dp = l.ep = ranks;
  if (l.redundant_experts == absent_redundant) l.redundant_experts = (ranks - s.model.n_routed_experts % ranks) % ranks;
  return completed(l);
}

Bytes heaviest_weights(const Scenario& s, const Phase& phase, const Layout& layout) {
  Bytes most;
  for (const auto& stage : plan(s.model, layout, phase.policy).stages) {
    Bytes sum{stage.absorbed_bytes};
    for (const auto bytes : stage.weight_bytes) sum += Bytes{bytes};
    most = std::max(most, sum);
  }
  return most;
}

// Nobody gave a layout: DeepSeek's published units on the machine they were published for; elsewhere the smallest expert parallelism whose
// weights leave 40 % of the memory limit to caches and buffers.
Layout default_layout(const Scenario& s, const Phase& phase, const hardware_profiles::HardwareProfile& profile) {
  const auto unit = published_service(&phase == &s.prefill ? CurvePhase::prefill : CurvePhase::decode).layout;
  const bool published = profile.name == default_system && phase.layout.redundant_experts == absent_redundant && phase.layout.pp == 1;
  if (published && !check(s.model, unit) && (s.total_gpus == 0 || gpus(unit) <= s.total_gpus)) return unit;
  const auto room = 0.6 * s.gpu_mem_fraction * profile.hbm_usable;
  auto layout = spread(s, phase.layout, 8);
  for (std::int64_t ranks = 8; ranks <= 512; ranks *= 2) {
    const auto wider = spread(s, phase.layout, ranks);
    if (check(s.model, wider) || (s.total_gpus > 0 && gpus(wider) > s.total_gpus)) break;
    layout = wider;
    if (heaviest_weights(s, phase, layout) <= room) break;
  }
  return layout;
}

void settle_phase(const Scenario& s, Phase& phase, std::string_view system_key, const std::vector<Setting>& laid, Faults& faults) {
  if (phase.policy.cache == automatic_cache) phase.policy.cache = s.model.indexer ? CacheFormat::fp8 : CacheFormat::bf16;
  const auto profile = find_named(find_setting(laid, system_key), system_key, faults, [&] { return hardware_profiles::find_profile(phase.system); });
  if (has_shape(phase.layout)) phase.layout = completed(phase.layout);
  else if (profile) phase.layout = default_layout(s, phase, *profile);
}

void write_phase(const std::string& name, Phase phase, const Layout& given, const std::vector<Setting>& laid, std::vector<Setting>& out) {
  phase_fields(ToSettings{name + ".", laid, built_in, out}, phase);
  fields(ToSettings{name + ".layout.", laid, has_shape(given) ? derived : built_in, out}, phase.layout);
  fields(ToSettings{name + ".policy.", laid, built_in, out}, phase.policy);
}

struct Reading {
  Scenario scenario;
  std::string model;       // name or path
  Layout prefill, decode;  // as given, before they were completed
};

std::vector<Setting> written(Reading r, const std::vector<Setting>& laid) {
  std::vector<Setting> out;
  ToSettings{"", laid, built_in, out}.text("model.name", r.model);
  for (const auto& s : laid)
    if (s.key.starts_with("model.") && s.key != "model.name") out.push_back(s);
  top_fields(ToSettings{"", laid, built_in, out}, r.scenario);
  write_phase("prefill", r.scenario.prefill, r.prefill, laid, out);
  write_phase("decode", r.scenario.decode, r.decode, laid, out);
  fields(ToSettings{"workload.", laid, built_in, out}, r.scenario.workload);
  fields(ToSettings{"prices.", laid, built_in, out}, r.scenario.prices);
  return out;
}

// An unknown key is often a right one outside its table.
Problems with_hints(const Problems& problems) {
  const auto known = scenario_keys();
  Problems out;
  for (const auto& line : problems.lines()) {
    const auto begin = line.find(": ") + 2, end = line.find(": ", begin);
    const auto last = line.substr(begin, end - begin);
    const auto same = std::ranges::find_if(known, [&](const SettingInfo& s) { return s.key.ends_with("." + last); });
    const bool helps = line.find("is not a key") != std::string::npos && line.find("did you mean") == std::string::npos && same != known.end();
    const auto general = helps ? general_key(same->key) : std::string();
    out.add(helps ? fmt::format("{} (did you mean '{}'?)", line, general.empty() ? same->key : general) : line);
  }
  return out;
}

Reading read(const std::vector<Setting>& laid) {
  Faults faults;
  Problems problems;
  Reading r{.scenario = {}, .model = std::string(default_model), .prefill = {}, .decode = {}};
  auto& s = r.scenario;
  s = read_values(settings_tree(laid, faults), problems, r.model);
  faults.add(with_hints(problems), laid);
  faults.throw_if_any();
  const auto model = find_named(find_setting(laid, "model.name"), "model.name", faults, [&] { return overridden_model(r.model, laid, faults); });
  faults.throw_if_any();
  s.model = *model;
  check_workload(s, laid, faults);
  if (!s.calibration.empty())
    find_named(find_setting(laid, "calibration"), "calibration", faults, [&] { return hardware_profiles::find_calibration(s.calibration); });
  faults.throw_if_any();
  r.prefill = s.prefill.layout;
  r.decode = s.decode.layout;
  settle_phase(s, s.prefill, "system", laid, faults);
  settle_phase(s, s.decode, "decode_system", laid, faults);
  faults.throw_if_any();
  return r;
}

}  // namespace

hardware_profiles::Calibration calibration_of(const Scenario& s, const hardware_profiles::HardwareProfile& profile) {
  return hardware_profiles::find_calibration(s.calibration.empty() ? profile.calibration_name : s.calibration);
}

Scenario read_scenario(const std::vector<Setting>& settings) { return read(lay(settings)).scenario; }

std::vector<SettingInfo> scenario_keys() {
  std::vector<SettingInfo> out;
  Scenario s;
  std::string model;
  ToInfo{"", out}.text("model.name", model);
  top_fields(ToInfo{"", out}, s);
  for (const std::string phase : {"prefill.", "decode."}) {
    phase_fields(ToInfo{phase, out}, s.prefill);
    fields(ToInfo{phase + "layout.", out}, s.prefill.layout);
    fields(ToInfo{phase + "policy.", out}, s.prefill.policy);
  }
  fields(ToInfo{"workload.", out}, s.workload);
  fields(ToInfo{"prices.", out}, s.prices);
  return out;
}

std::vector<Setting> effective_settings(const std::vector<Setting>& settings) {
  const auto laid = lay(settings);
  return written(read(laid), laid);
}

}  // namespace fathom::simulator
