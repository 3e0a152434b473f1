// The only translation unit that knows toml++. It parses; files are written and edited elsewhere (toml_edit.cpp).
#include "model_spec/toml.h"

#include <fmt/core.h>

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <fstream>
#include <tuple>

namespace fathom::model_spec {

namespace {

constexpr std::size_t max_text_bytes = 16u << 20;
constexpr int max_nesting = 32;   // brackets and braces inside one another
constexpr int max_key_dots = 16;  // parts of one dotted key
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

[[noreturn]] void fail(const std::string& file, Position at, std::string_view message) {
  throw Error(Failure::bad_file, fmt::format("{}:{}:{}: {}", file, at.line, at.column, message));
}

Position position_at(std::string_view text, std::size_t offset) {
  Position at{1, 1};
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      at = {at.line + 1, 1};
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {  // not a continuation byte of UTF-8
      ++at.column;
    }
  }
  return at;
}

// One past the string that opens at text[i].
std::size_t skip_string(std::string_view text, std::size_t i) {
  const char quote = text[i];
  const bool escapes = quote == '"';
  const bool multi_line = text.substr(i, 3) == std::string(3, quote);
  i += multi_line ? 3 : 1;
  for (; i < text.size(); ++i) {
    if (escapes && text[i] == '\\') {
      ++i;
    } else if (multi_line ? text.substr(i, 3) == std::string_view{escapes ? "\"\"\"" : "'''"} : text[i] == quote) {
      i += multi_line ? 3 : 1;
      for (int extra = 0; multi_line && extra < 2 && i < text.size() && text[i] == quote; ++extra) ++i;  // quotes just before the closing three
      return i;
    } else if (!multi_line && text[i] == '\n') {
      return i;
    }
  }
  return text.size();
}

// toml++ limits nested brackets but not dotted keys, whose tree would overflow the stack when it is destroyed.
void refuse_deep_nesting(std::string_view text, const std::string& file) {
  int nesting = 0, dots = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '"':
      case '\'': i = skip_string(text, i) - 1; break;
      case '#': i = std::min(text.find('\n', i), text.size()) - 1; break;
      case '.': ++dots; break;
      case '[':
      case '{':
        ++nesting;
        dots = 0;
        break;
      case ']':
      case '}':
        nesting = std::max(0, nesting - 1);
        dots = 0;
        break;
      case '\n':
      case '=':
      case ',': dots = 0; break;
      default: break;
    }
    if (nesting > max_nesting) fail(file, position_at(text, i), fmt::format("more than {} brackets inside one another", max_nesting));
    if (dots > max_key_dots) fail(file, position_at(text, i), fmt::format("a key of more than {} parts", max_key_dots));
  }
}

Position position_of(const toml::source_position& p) { return {static_cast<int>(p.line), static_cast<int>(p.column)}; }

struct Conversion {
  const std::string& file;
  Problems& problems;

  TomlValue value(const toml::node& node) const {
    TomlValue out{.data = false, .at = position_of(node.source().begin), .end = position_of(node.source().end)};
    if (const auto* t = node.as_table()) {
      out.data = table(*t);
      if (!t->is_inline()) out.end = {};
    } else if (const auto* a = node.as_array()) {
      out.data = array(*a);
      const auto* first = a->empty() ? nullptr : a->front().as_table();
      if (first != nullptr && !first->is_inline()) out.end = {};  // made of [[headers]]
    } else {
      out.data = scalar(node, out.at);
    }
    return out;
  }

  TomlTable table(const toml::table& t) const {
    TomlTable out;
    out.reserve(t.size());
    for (const auto& [key, node] : t) out.push_back({std::string(key.str()), position_of(key.source().begin), value(node)});
    // toml++ sorts by key
    std::sort(out.begin(), out.end(),
              [](const TomlEntry& a, const TomlEntry& b) { return std::tie(a.at.line, a.at.column) < std::tie(b.at.line, b.at.column); });
    return out;
  }

  TomlArray array(const toml::array& a) const {
    TomlArray out;
    out.reserve(a.size());
    for (const auto& node : a) out.push_back(value(node));
    return out;
  }

  decltype(TomlValue::data) scalar(const toml::node& node, Position at) const {
    if (const auto* v = node.as_boolean()) return v->get();
    if (const auto* v = node.as_integer()) return v->get();
    if (const auto* v = node.as_floating_point()) return v->get();
    if (const auto* v = node.as_string()) return v->get();
    problems.add(fmt::format("{}:{}:{}: dates and times have no use here; quote it if it is meant as text", file, at.line, at.column));
    return std::string();
  }
};

toml::table parse(std::string_view text, const std::string& file) {
  try {
    return toml::parse(text, std::string_view{});
  } catch (const toml::parse_error& e) { fail(file, position_of(e.source().begin), e.description()); }
}

}  // namespace

const TomlTable* TomlValue::table() const { return std::get_if<TomlTable>(&data); }
const TomlArray* TomlValue::array() const { return std::get_if<TomlArray>(&data); }

const TomlValue* TomlValue::find(std::string_view key) const {
  const TomlTable* members = table();
  if (members == nullptr) return nullptr;
  const auto found = std::find_if(members->begin(), members->end(), [&](const TomlEntry& e) { return e.key == key; });
  return found == members->end() ? nullptr : &found->value;
}

TomlValue parse_toml(std::string_view text, const std::string& file) {
  if (text.size() > max_text_bytes) throw Error(Failure::bad_file, fmt::format("{}: larger than {} MiB", file, max_text_bytes >> 20));
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  refuse_deep_nesting(text, file);
  const toml::table parsed = parse(text, file);
  Problems problems;
  TomlValue out = Conversion{.file = file, .problems = problems}.value(parsed);
  problems.throw_if_any();
  out.at = {1, 1};
  out.end = {};
  return out;
}

std::string read_text_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Failure::io, fmt::format("{}: cannot be opened", path));
  std::string text;
  std::array<char, 1 << 16> chunk{};
  // stops once it has more than any reader accepts, so that a huge file or a device does not fill the memory
  while (text.size() <= max_text_bytes && (in.read(chunk.data(), chunk.size()), in.gcount() > 0))
    text.append(chunk.data(), static_cast<std::size_t>(in.gcount()));
  if (in.bad()) throw Error(Failure::io, fmt::format("{}: cannot be read", path));
  return text;
}

TomlValue parse_toml_file(const std::string& path) { return parse_toml(read_text_file(path), path); }

}  // namespace fathom::model_spec
