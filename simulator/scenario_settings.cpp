#include "simulator/scenario_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace fathom::simulator {
namespace {

constexpr std::string_view model_prefix = "model.", name_key = "model.name";

std::string literal_of(const TomlValue& value) {
  if (const auto* text = std::get_if<std::string>(&value.data)) return toml_string(*text);
  if (const auto* number = std::get_if<double>(&value.data)) return toml_number(*number);
  if (const auto* whole = std::get_if<std::int64_t>(&value.data)) return std::to_string(*whole);
  if (const auto* flag = std::get_if<bool>(&value.data)) return *flag ? "true" : "false";
  std::string out;
  if (const auto* elements = value.array())
    for (const auto& element : *elements) out += (out.empty() ? "" : ", ") + literal_of(element);
  if (value.array()) return "[" + out + "]";
  for (const auto& entry : *value.table()) out += fmt::format("{}{} = {}", out.empty() ? "" : ", ", entry.key, literal_of(entry.value));
  return "{" + out + "}";
}

void flatten(const TomlTable& table, const std::string& prefix, const std::string& file, std::vector<Setting>& out) {
  for (const auto& entry : table) {
    if (const auto* inner = entry.value.table()) flatten(*inner, prefix + entry.key + ".", file, out);
    else out.push_back({prefix + entry.key, literal_of(entry.value), fmt::format("{}:{}", file, entry.at.line)});
  }
}

// What settings of one layer have in common: the file, the environment, the command line.
std::string_view layer_of(std::string_view origin) {
  if (origin.starts_with("--")) return "--";
  if (origin.starts_with("FATHOM_")) return "FATHOM_";
  return origin.substr(0, origin.rfind(':'));
}

// `model = "name"` is short for model.name.
std::string full_key(const std::string& key) { return key == "model" ? std::string(name_key) : key; }

std::vector<std::string> split(std::string_view dotted) {
  std::vector<std::string> parts;
  for (std::size_t dot = 0; dot != std::string_view::npos; dotted.remove_prefix(dot == std::string_view::npos ? 0 : dot + 1)) {
    dot = dotted.find('.');
    parts.emplace_back(dotted.substr(0, dot));
  }
  return parts;
}

// The value of a literal; nothing if it is not exactly one value.
std::optional<TomlValue> value_of(const std::string& literal) {
  try {
    auto holder = parse_toml("value = " + literal + "\n", "value");
    auto& entries = std::get<TomlTable>(holder.data);
    if (entries.size() != 1 || entries.front().key != "value") return std::nullopt;
    return std::move(entries.front().value);
  } catch (const Error&) { return std::nullopt; }
}

TomlEntry& member(TomlTable& table, const std::string& key, Position at) {
  const auto found = std::ranges::find(table, key, &TomlEntry::key);
  if (found != table.end()) return *found;
  table.push_back({key, at, {.data = TomlTable{}, .at = at, .end = {}}});
  return table.back();
}

void plant(TomlValue& root, const Setting& setting, Position at, Faults& faults) {
  auto value = value_of(setting.literal);
  if (!value) return faults.add(&setting, setting.key, fmt::format("{} is not one TOML value", toml_string(setting.literal)));
  auto* table = &std::get<TomlTable>(root.data);
  const auto path = split(setting.key);
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    table = std::get_if<TomlTable>(&member(*table, path[i], at).value.data);
    if (!table) return faults.add(&setting, setting.key, fmt::format("'{}' has been given a value, so it has no keys", path[i]));
  }
  const bool taken = std::ranges::find(*table, path.back(), &TomlEntry::key) != table->end();
  if (taken || value->table()) return faults.add(&setting, setting.key, "is a table: set its keys one by one");
  value->at = value->end = at;
  member(*table, path.back(), at).value = std::move(*value);
}

// "deepseek-v3.2:3:1: n_group: must be ..." -> "n_group: must be ..."
std::string_view without_position(std::string_view line, std::string_view file) {
  if (!line.starts_with(file)) return line;
  const auto end = line.find(": ", file.size());
  return end == std::string_view::npos ? line : line.substr(end + 2);
}

// A complaint about the edited spec, at the setting that edited the key it is about.
void blame_override(std::string_view line, const std::vector<const Setting*>& overrides, Faults& faults) {
  const auto key = line.substr(0, line.find(": "));
  const auto message = line.substr(std::min(line.size(), key.size() + 2));
  const auto full = std::string(model_prefix) + std::string(key);
  for (const auto* setting : overrides)
    if (full.starts_with(setting->key)) return faults.add(setting, full, message);
  faults.add(overrides.back(), overrides.back()->key, line);  // what it clashes with was not overridden
}

}  // namespace

std::string general_key(std::string_view key) {
  if (key == "decode_system") return "system";
  for (const std::string_view phase : {"prefill.", "decode."})
    if (key.starts_with(phase) && (key.substr(phase.size()).starts_with("layout.") || key.substr(phase.size()).starts_with("policy.")))
      return std::string(key.substr(phase.size()));
  return {};
}

bool is_from_file(const Setting& s) {
  const auto colon = s.origin.rfind(':');
  return colon != std::string::npos && !s.origin.starts_with("--") && colon + 1 < s.origin.size() &&
         s.origin.find_first_not_of("0123456789", colon + 1) == std::string::npos;
}

std::vector<Setting> lay(const std::vector<Setting>& settings) {
  std::vector<Setting> out;
  for (const auto& given : settings) {
    const Setting s{full_key(given.key), given.literal, given.origin};
    std::erase_if(
        out, [&](const Setting& older) { return older.key == s.key || (general_key(older.key) == s.key && layer_of(older.origin) != layer_of(s.origin)); });
    out.push_back(s);
  }
  return out;
}

const Setting* find_setting(const std::vector<Setting>& laid, std::string_view key) {
  const auto found = std::ranges::find(laid, key, &Setting::key);
  if (found != laid.end()) return &*found;
  const auto general = general_key(key);
  return general.empty() ? nullptr : find_setting(laid, general);
}

void Faults::add(const Setting* at, std::string_view key, std::string_view message) {
  from_file_ = from_file_ || (at && is_from_file(*at));
  const auto where = !at ? std::string() : at->origin + ": ";
  const bool origin_says_it = at && !is_from_file(*at);
  lines_.push_back(fmt::format("{}{}{}{}", where, origin_says_it ? "" : key, origin_says_it ? "" : ": ", message));
}

void Faults::add(const Problems& problems, const std::vector<Setting>& laid) {
  for (const auto& line : problems.lines()) {
    std::size_t index = 0;
    std::from_chars(line.data() + 1, line.data() + line.size(), index);
    const auto text = std::string_view(line).substr(line.find(": ") + 2);
    const auto key = text.substr(0, text.find(": "));
    add(index > 0 && index <= laid.size() ? &laid[index - 1] : nullptr, key, text.substr(std::min(text.size(), key.size() + 2)));
  }
}

void Faults::throw_if_any() const {
  if (lines_.empty()) return;
  throw Error(from_file_ ? Failure::bad_file : Failure::usage, fmt::format("{}", fmt::join(lines_, "\n")));
}

TomlValue settings_tree(const std::vector<Setting>& laid, Faults& faults) {
  TomlValue root{.data = TomlTable{}, .at = {}, .end = {}};
  for (std::size_t i = 0; i < laid.size(); ++i) plant(root, laid[i], {static_cast<int>(i) + 1, 1}, faults);
  return root;
}

ModelSpec overridden_model(const std::string& name, const std::vector<Setting>& laid, Faults& faults) {
  const auto spec = find_model(name);
  std::vector<const Setting*> overrides;
  for (const auto& s : laid)
    if (s.key.starts_with(model_prefix) && s.key != name_key) overrides.push_back(&s);
  if (overrides.empty()) return spec;
  auto text = write_model_toml(spec);
  for (const auto* s : overrides) {
    try {
      text = edit_toml(text, s->key.substr(model_prefix.size()), s->literal, spec.name);
    } catch (const Error& e) { faults.add(s, s->key, without_position(e.what(), spec.name)); }
  }
  try {
    return read_model_toml(text, spec.name);
  } catch (const Error& e) {
    std::string_view lines = e.what();
    for (std::size_t end = 0; end != std::string_view::npos; lines.remove_prefix(end == std::string_view::npos ? 0 : end + 1)) {
      end = lines.find('\n');
      blame_override(without_position(lines.substr(0, end), spec.name), overrides, faults);
    }
  }
  return spec;
}

std::vector<Setting> parse_settings(std::string_view toml, const std::string& file) {
  std::vector<Setting> out;
  flatten(*parse_toml(toml, file).table(), "", file, out);
  return out;
}

std::vector<Setting> read_settings(const std::string& path) { return parse_settings(read_text_file(path), path); }

}  // namespace fathom::simulator
