// Text that goes out: literals, and edits that touch nothing but one value. An edit is proposed as text, parsed, and accepted only
// if the tree is the old one with that value changed: whatever the syntax around it, a wrong guess cannot do damage.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "model_spec/toml.h"

namespace fathom::model_spec {

namespace {

using Path = std::vector<std::string>;

Path split(std::string_view dotted) {
  Path parts;
  while (true) {
    const std::size_t dot = dotted.find('.');
    parts.emplace_back(dotted.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    dotted.remove_prefix(dot + 1);
  }
}

std::string joined(const Path& path, std::size_t first, std::size_t last) {
  std::string out;
  for (std::size_t i = first; i < last; ++i) out += (out.empty() ? "" : ".") + path[i];
  return out;
}

TomlValue* child(TomlValue& value, const std::string& part) {
  if (auto* members = std::get_if<TomlTable>(&value.data)) {
    const auto found = std::find_if(members->begin(), members->end(), [&](const TomlEntry& e) { return e.key == part; });
    return found == members->end() ? nullptr : &found->value;
  }
  auto* elements = std::get_if<TomlArray>(&value.data);
  std::size_t index = 0;
  const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  const bool whole = error == std::errc{} && rest == part.data() + part.size();
  return elements != nullptr && whole && index < elements->size() ? &(*elements)[index] : nullptr;
}

bool same(const TomlValue& a, const TomlValue& b);

bool same_table(const TomlTable& a, const TomlTable& b) {
  const auto by_key = [](const TomlTable& t) {
    std::vector<const TomlEntry*> sorted;
    for (const auto& entry : t) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(), [](const TomlEntry* x, const TomlEntry* y) { return x->key < y->key; });
    return sorted;
  };
  const auto left = by_key(a), right = by_key(b);
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const TomlEntry* x, const TomlEntry* y) { return x->key == y->key && same(x->value, y->value); });
}

// Equal as data: neither positions nor the order of keys count, and one NaN equals another.
bool same(const TomlValue& a, const TomlValue& b) {
  if (a.data.index() != b.data.index()) return false;
  if (const auto* t = a.table()) return same_table(*t, *b.table());
  if (const auto* x = a.array()) return std::equal(x->begin(), x->end(), b.array()->begin(), b.array()->end(), same);
  if (const auto* x = std::get_if<double>(&a.data)) return *x == std::get<double>(b.data) || (std::isnan(*x) && std::isnan(std::get<double>(b.data)));
  if (const auto* x = std::get_if<std::string>(&a.data)) return *x == std::get<std::string>(b.data);
  if (const auto* x = std::get_if<std::int64_t>(&a.data)) return *x == std::get<std::int64_t>(b.data);
  return std::get<bool>(a.data) == std::get<bool>(b.data);
}

TomlValue literal_value(std::string_view literal) {
  const auto refuse = [&] { return Error(Failure::usage, fmt::format("{} is not one TOML value", toml_string(literal))); };
  try {
    const TomlValue holder = parse_toml(fmt::format("value = {}\n", literal), "value");
    if (holder.table()->size() != 1 || holder.table()->front().key != "value") throw refuse();
    return holder.table()->front().value;
  } catch (const Error&) { throw refuse(); }
}

// Sets the value at `path` below `root`, making the tables on the way. False if something on the way is neither table nor array element.
bool set_value(TomlValue& root, const Path& path, TomlValue value) {
  TomlValue* at = &root;
  for (const auto& part : path) {
    TomlValue* next = child(*at, part);
    if (next == nullptr) {
      auto* members = std::get_if<TomlTable>(&at->data);
      if (members == nullptr) return false;
      members->push_back({part, {}, TomlValue{.data = TomlTable{}, .at = {}, .end = {}}});
      next = &members->back().value;
    }
    at = next;
  }
  at->data = std::move(value.data);
  return true;
}

std::size_t line_start(std::string_view text, int line) {
  std::size_t offset = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  for (int l = 1; l < line; ++l) offset = std::min(text.find('\n', offset), text.size() - 1) + 1;
  return offset;
}

std::size_t offset_of(std::string_view text, Position at) {
  std::size_t offset = line_start(text, at.line);
  for (int column = 1; column < at.column && offset < text.size(); ++column) {
    ++offset;
    while (offset < text.size() && (static_cast<unsigned char>(text[offset]) & 0xC0) == 0x80) ++offset;
  }
  return offset;
}

std::string inserted(std::string_view text, std::size_t offset, std::string_view what) {
  return std::string(text.substr(0, offset)).append(what).append(text.substr(offset));
}

// A line of its own below `line`, indented and ended as that one is.
std::string with_line_below(std::string_view text, int line, std::string_view content) {
  const std::size_t begin = line_start(text, line);
  std::size_t end = std::min(text.find('\n', begin), text.size());
  const bool carriage = end > begin && text[end - 1] == '\r';
  if (carriage) --end;
  const std::string_view current = text.substr(begin, end - begin);
  const std::string_view indent = current.substr(0, std::min(current.find_first_not_of(" \t"), current.size()));
  return inserted(text, end, fmt::format("{}{}{}", carriage ? "\r\n" : "\n", indent, content));
}

std::string with_inline_member(std::string_view text, const TomlValue& table, std::string_view content) {
  std::size_t brace = offset_of(text, table.end);
  if (brace == 0) return std::string(text);
  --brace;
  const std::size_t last = text.substr(0, brace).find_last_not_of(" \t\r\n");
  if (last == std::string_view::npos) return std::string(text);
  return table.table()->empty() ? inserted(text, last + 1, fmt::format(" {} ", content)) : inserted(text, last + 1, fmt::format(", {}", content));
}

const TomlEntry* last_direct_value(const TomlTable& table) {
  const TomlEntry* last = nullptr;
  for (const auto& entry : table) {
    if (entry.value.end.line != 0 && (last == nullptr || entry.value.end.line > last->value.end.line)) last = &entry;
  }
  return last;
}

// Ways to write a new key into the table at path[0, depth), best first.
std::vector<std::string> additions(std::string_view text, const TomlValue& table, const Path& path, std::size_t depth, std::string_view literal) {
  const auto assignment = [&](std::size_t first) { return fmt::format("{} = {}", joined(path, first, path.size()), literal); };
  if (table.end.line != 0) return {with_inline_member(text, table, assignment(depth))};
  std::vector<std::string> out;
  if (depth + 1 == path.size()) {
    const TomlEntry* last = last_direct_value(*table.table());
    const int line = last != nullptr ? last->value.end.line : table.at.line;
    if (last == nullptr && depth == 0) out.push_back(inserted(text, line_start(text, 1), assignment(0) + "\n"));
    // the shortest form is right below a [header]; the longer ones where the table is made of dotted keys
    for (std::size_t first = depth + 1; first-- > 0;) out.push_back(with_line_below(text, line, assignment(first)));
  }
  const std::string_view gap = text.empty() || text.ends_with('\n') ? "\n" : "\n\n";
  out.push_back(fmt::format("{}{}[{}]\n{}\n", text, gap, joined(path, 0, path.size() - 1), assignment(path.size() - 1)));
  return out;
}

std::vector<std::string> proposals(std::string_view text, TomlValue& tree, const Path& path, std::string_view literal, const std::string& where) {
  TomlValue* at = &tree;
  for (std::size_t depth = 0; depth < path.size(); ++depth) {
    TomlValue* next = child(*at, path[depth]);
    if (next == nullptr && at->table() == nullptr) throw Error(Failure::usage, where + ": there is no such key");
    if (next == nullptr) return additions(text, *at, path, depth, literal);
    at = next;
  }
  if (at->end.line == 0) throw Error(Failure::usage, where + ": is a table; its keys are set one by one");
  const std::size_t begin = offset_of(text, at->at), end = offset_of(text, at->end);
  return {std::string(text.substr(0, begin)).append(literal).append(text.substr(end))};
}

bool is_accepted(const std::string& proposal, const TomlValue& expected, const std::string& file) {
  try {
    return same(parse_toml(proposal, file), expected);
  } catch (const Error&) { return false; }
}

// Whether a proposal is the tree without the value at `path`. Tables that it alone made ("a.b.c = 1") may go with it.
bool is_accepted_without(const std::string& proposal, TomlValue tree, const Path& path, const std::string& file) {
  for (std::size_t depth = path.size(); depth > 0; --depth) {
    TomlValue* parent = &tree;
    for (std::size_t i = 0; i + 1 < depth; ++i) parent = child(*parent, path[i]);
    auto* members = std::get_if<TomlTable>(&parent->data);
    if (members == nullptr) return false;
    std::erase_if(*members, [&](const TomlEntry& e) { return e.key == path[depth - 1]; });
    if (is_accepted(proposal, tree, file)) return true;
    if (!members->empty()) return false;
  }
  return false;
}

std::string without_lines(std::string_view text, int first, int last) {
  return std::string(text.substr(0, line_start(text, first))).append(text.substr(line_start(text, last + 1)));
}

// Without the member of an inline table whose text begins behind the comma or brace at `before` and ends at `end`.
std::string without_member(std::string_view text, std::size_t before, std::size_t end) {
  const std::size_t next = text.find_first_not_of(" \t", end);
  const bool first_of_many = text[before] == '{' && next != std::string_view::npos && text[next] == ',';
  const std::size_t from = text[before] == '{' ? before + 1 : before;
  return std::string(text.substr(0, from)).append(text.substr(first_of_many ? next + 1 : end));
}

struct Found {
  const TomlEntry* entry = nullptr;  // null: absent
  bool is_inline = false;            // in an inline table
};

Found find_entry(TomlValue& tree, const Path& path, const std::string& where) {
  Found found;
  TomlValue* at = &tree;
  for (const auto& part : path) {
    const TomlTable* members = at->table();
    found.is_inline = found.is_inline || (members != nullptr && at->end.line != 0);
    at = child(*at, part);
    if (at == nullptr) return {};
    found.entry = members == nullptr ? nullptr : &*std::find_if(members->begin(), members->end(), [&](const TomlEntry& e) { return e.key == part; });
  }
  if (found.entry == nullptr) throw Error(Failure::usage, where + ": is an element of an array, not a key");
  if (at->end.line == 0) throw Error(Failure::usage, where + ": is a table; its keys are removed one by one");
  return found;
}

}  // namespace

std::string toml_string(std::string_view s) {
  std::string out = "\"";
  for (const char c : s) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (code < 0x20 || code == 0x7F) {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : fmt::format("\\u{:04X}", code);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_number(double v) {
  if (std::isnan(v)) return "nan";
  std::string out = fmt::format("{}", v);  // the shortest text that reads back the same; "inf" and "-inf" are TOML too
  if (out.find_first_of(".einf") == std::string::npos) out += ".0";
  return out;
}

std::string edit_toml(std::string_view text, std::string_view dotted_key, std::string_view literal, const std::string& file) {
  TomlValue tree = parse_toml(text, file);
  const std::string where = fmt::format("{}: {}", file, dotted_key);
  const Path path = split(dotted_key);
  const auto candidates = proposals(text, tree, path, literal, where);
  if (!set_value(tree, path, literal_value(literal))) throw Error(Failure::usage, where + ": there is no such key");
  for (const auto& candidate : candidates) {
    if (is_accepted(candidate, tree, file)) return candidate;
  }
  throw Error(Failure::usage, fmt::format("{}: cannot be set to {} without changing something else", where, literal));
}

std::string erase_toml(std::string_view text, std::string_view dotted_key, const std::string& file) {
  TomlValue tree = parse_toml(text, file);
  const std::string where = fmt::format("{}: {}", file, dotted_key);
  const Path path = split(dotted_key);
  const auto [entry, is_inline] = find_entry(tree, path, where);
  if (entry == nullptr) return std::string(text);
  if (!is_inline) {
    const auto proposal = without_lines(text, entry->at.line, entry->value.end.line);
    if (is_accepted_without(proposal, tree, path, file)) return proposal;
  }
  // the comma or brace before a member stands on its line; nearer ones may be part of a quoted name
  const std::size_t line = line_start(text, entry->at.line), end = offset_of(text, entry->value.end);
  for (std::size_t at = offset_of(text, entry->at); is_inline && at-- > line;) {
    if (text[at] != ',' && text[at] != '{') continue;
    const auto proposal = without_member(text, at, end);
    if (is_accepted_without(proposal, tree, path, file)) return proposal;
  }
  throw Error(Failure::usage, where + ": cannot be removed without changing something else");
}

}  // namespace fathom::model_spec
