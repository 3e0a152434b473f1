#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "hardware_profiles/measurement.h"
#include "model_spec/toml.h"

namespace fathom::hardware_profiles {

namespace {

constexpr double micro = 1e-6, least_us = 1e-3, most_us = 1e9;  // less than any kernel, more than any
constexpr std::int64_t most_size = std::int64_t{1} << 53;       // exact as a double

// ---- out

std::string literal(bool v) { return v ? "true" : "false"; }
std::string literal(std::int64_t v) { return std::to_string(v); }
std::string literal(double v) { return toml_number(v); }
template <class T>
requires std::is_enum_v<T> std::string literal(T v) { return toml_string(name_of(v)); }

std::string sizes_literal(const Op& op) {
  std::string text;
  const auto one = [&](std::string_view name, std::string_view, const auto& value) {
    text += fmt::format("{}{} = {}", text.empty() ? "{ " : ", ", name, literal(value));
  };
  std::visit([&](const auto& o) { each_field(o, one); }, op);
  return text + " }";
}

std::string strings_literal(const std::vector<std::string>& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "[" : ", ") + toml_string(value);
  return text + "]";
}

// To a tenth of a nanosecond: clocks of a device tick slower.
std::string microseconds_literal(Seconds s) { return fmt::format("{:.4f}", s.value / micro); }

// ---- in

std::vector<std::string> words_of(DType) {
  std::vector<std::string> words;
  for (const auto& entry : dtype_names) words.emplace_back(entry.name);
  return words;
}
std::vector<std::string> words_of(CacheFormat) { return {cache_format_names.begin(), cache_format_names.end()}; }
std::vector<std::string> words_of(Transport) { return {transport_names.begin(), transport_names.end()}; }

template <class T>
void read_size(TomlReader& t, std::string_view key, T& value) {
  if constexpr (std::is_same_v<T, bool>) value = t.boolean(key);
  else if constexpr (std::is_same_v<T, std::int64_t>) value = t.integer(key, 0, most_size);
  else if constexpr (std::is_same_v<T, double>) value = t.number(key, 0, static_cast<double>(most_size));
  else value = static_cast<T>(t.word(key, words_of(value)));
}

void read_sizes(TomlReader& t, Op& op) {
  std::visit([&](auto& o) { std::apply([&](const auto&... field) { (read_size(t, field.name, o.*field.member), ...); }, o.fields()); }, op);
}

// Sizes of an operator that is not known are not looked at.
void read_op(TomlReader& t, Op& op) {
  const auto name = t.string("op");
  const auto found = op_named(name);
  if (found) {
    op = *found;
    return t.table("sizes", [&](TomlReader& sizes) { read_sizes(sizes, op); });
  }
  static_cast<void>(t.has("sizes"));
  if (name.empty()) return;
  const auto near = nearest(name, op_names());
  t.problem("op", fmt::format("'{}' is no operator{}", name, near ? fmt::format(" (did you mean '{}'?)", *near) : ""));
}

// Nothing after a problem.
std::optional<Seconds> read_time(TomlReader& t, std::string_view key) {
  if (!t.has(key)) static_cast<void>(t.number(key));  // says that it is missing
  const auto us = t.optional_number(key, least_us, most_us);
  return us ? std::optional(Seconds{*us * micro}) : std::nullopt;
}

void read_times(TomlReader& t, Measurement& m) {
  const auto median = read_time(t, "median_us"), p10 = read_time(t, "p10_us"), p90 = read_time(t, "p90_us");
  if (p10 && median && *p10 > *median) t.problem("p10_us", "must not exceed median_us");
  if (p90 && median && *p90 < *median) t.problem("p90_us", "must not be below median_us");
  m.median = median.value_or(Seconds{}), m.p10 = p10.value_or(Seconds{}), m.p90 = p90.value_or(Seconds{});
}

Measurement read_measurement(TomlReader& t) {
  Measurement m;
  m.covers = t.strings("covers");
  if (t.has("covers") && (m.covers.empty() || std::ranges::count(m.covers, "") > 0)) t.problem("covers", "must name the steps that the operator stands for");
  read_op(t, m.op);
  m.n = t.integer("n", 1, most_size);
  read_times(t, m);
  return m;
}

std::string text(TomlReader& t, std::string_view key) {
  auto value = t.string(key);
  if (value.empty() && t.has(key)) t.problem(key, "must not be empty");
  return value;
}

Versions read_versions(TomlReader& t) {
  Versions v;
  v.driver = text(t, "driver");
  v.cuda = text(t, "cuda");
  v.cublas_lt = text(t, "cublas_lt");
  v.fathom = text(t, "fathom");
  return v;
}

bool is_date(std::string_view s) {
  if (s.size() != 10 || s[4] != '-' || s[7] != '-') return false;
  const auto number = [&](std::size_t at, std::size_t digits) {
    int n = 0;
    for (const char c : s.substr(at, digits)) n = std::isdigit(static_cast<unsigned char>(c)) != 0 && n >= 0 ? 10 * n + (c - '0') : -1;
    return n;
  };
  const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  return year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

}  // namespace

std::string write_measurements(const Measurements& m) {
  std::string out = fmt::format("schema = 1\ndevice = {}\nkernel_set = {}\ndate = {}\n", toml_string(m.device), toml_string(m.kernel_set), toml_string(m.date));
  const auto& v = m.versions;
  out += fmt::format("\n[versions]\ndriver = {}\ncuda = {}\ncublas_lt = {}\nfathom = {}\n", toml_string(v.driver), toml_string(v.cuda),
                     toml_string(v.cublas_lt), toml_string(v.fathom));
  for (const auto& one : m.all) {
    out +=
        fmt::format("\n[[measurement]]\ncovers = {}\nop = {}\nsizes = {}\n", strings_literal(one.covers), toml_string(op_name(one.op)), sizes_literal(one.op));
    out += fmt::format("n = {}\nmedian_us = {}\np10_us = {}\np90_us = {}\n", one.n, microseconds_literal(one.median), microseconds_literal(one.p10),
                       microseconds_literal(one.p90));
  }
  return out;
}

Measurements read_measurements(std::string_view toml, const std::string& file) {
  const TomlValue tree = parse_toml(toml, file);
  Problems problems;
  TomlReader root(tree, file, "", problems);
  Measurements m;
  root.integer("schema", 1, 1);
  m.device = text(root, "device");
  m.kernel_set = text(root, "kernel_set");
  m.date = root.string("date");
  if (root.has("date") && !is_date(m.date)) root.problem("date", fmt::format("'{}' is not YYYY-MM-DD", m.date));
  root.table("versions", [&](TomlReader& t) { m.versions = read_versions(t); });
  root.tables("measurement", [&](TomlReader& t, std::size_t) { m.all.push_back(read_measurement(t)); });
  if (!root.has("measurement")) root.problem("measurement", "is missing: there is at least one [[measurement]]");
  root.finish();
  problems.throw_if_any();
  return m;
}

}  // namespace fathom::hardware_profiles
