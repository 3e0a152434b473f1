#include "simulator/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fathom::simulator {
namespace {

constexpr std::size_t gap = 2, least_text = 8;
constexpr std::string_view bold = "\x1b[1m", red_bold = "\x1b[1;31m", plain = "\x1b[0m", ellipsis = "…";

std::string shown_real(double v) {
  const double size = std::abs(v);
  if (!std::isfinite(v)) return "-";
  if (v == 0) return "0";
  if (size >= 1e15 || size < 1e-4) return fmt::format("{:.4g}", v);
  if (size >= 1000) return (v < 0 ? "-" : "") + fmt::format("{}", fmt::group_digits(static_cast<std::uint64_t>(std::llround(size))));
  const int decimals = std::max(0, 3 - static_cast<int>(std::floor(std::log10(size))));  // four digits
  auto text = fmt::format("{:.{}f}", v, decimals);
  if (text.find('.') != std::string::npos) text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string shown_usd(double v) {
  const double size = std::abs(v);
  if (size >= 1000) return shown_real(v);
  return fmt::format("{:.{}f}", v, size >= 1 || size == 0 ? 2 : std::min(6, 2 - static_cast<int>(std::floor(std::log10(size)))));
}

std::string shown_number(double v, Kind kind) {
  if (!std::isfinite(v)) return "-";
  switch (kind) {
    case Kind::fixed: return fmt::format("{:.2f}", v);
    case Kind::usd: return shown_usd(v);
    case Kind::percent: return fmt::format("{:.1f}", v);
    case Kind::text:
    case Kind::count:
    case Kind::real: return shown_real(v);
  }
  return shown_real(v);
}

std::string spaced(std::string name) {
  std::ranges::replace(name, '_', ' ');
  return name;
}

bool is_empty(const Cell& c) { return std::holds_alternative<std::monostate>(c); }

bool is_shown(const Table& t, std::size_t field) {
  return !t.fields[field].machines_only && std::ranges::any_of(t.records, [&](const Record& r) { return !is_empty(r.cells[field]); });
}

Grid rows_grid(const Table& t) {
  const bool named = std::ranges::any_of(t.records, [](const Record& r) { return !r.name.empty(); });
  Grid g{.lines = std::vector<std::vector<std::string>>(t.records.size() + 1), .right = {}};
  const auto column = [&](bool right, const std::string& heading, const auto& cell) {
    g.right.push_back(right);
    g.lines[0].push_back(heading);
    for (std::size_t r = 0; r < t.records.size(); ++r) g.lines[r + 1].push_back(cell(t.records[r]));
  };
  if (named) column(false, "", [](const Record& r) { return spaced(r.name); });
  for (std::size_t f = 0; f < t.fields.size(); ++f)
    if (is_shown(t, f)) column(t.fields[f].kind != Kind::text, t.fields[f].heading, [&](const Record& r) { return shown(r.cells[f], t.fields[f].kind); });
  return g;
}

Grid columns_grid(const Table& t) {
  Grid g{.lines = {{""}}, .right = {false}};
  for (const auto& r : t.records) {
    g.lines[0].push_back(spaced(r.name));
    g.right.push_back(true);
  }
  for (std::size_t f = 0; f < t.fields.size(); ++f) {
    if (!is_shown(t, f)) continue;
    g.lines.push_back({t.fields[f].heading});
    for (const auto& r : t.records) g.lines.back().push_back(shown(r.cells[f], t.fields[f].kind));
  }
  return g;
}

std::string cut(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return text;
  std::size_t bytes = 0, cells = 0;
  while (cells + 1 < width) {
    for (++bytes; bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80;) ++bytes;
    ++cells;
  }
  return text.substr(0, bytes) + std::string(ellipsis);
}

// Widths of the columns; the widest of those with text give way if all do not fit.
std::vector<std::size_t> widths_of(const Grid& g, std::size_t limit) {
  std::vector<std::size_t> widths(g.right.size());
  for (const auto& line : g.lines)
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], display_width(line[c]));
  const auto total = [&] {
    auto sum = widths.empty() ? 0 : gap * (widths.size() - 1);
    for (const auto w : widths) sum += w;
    return sum;
  };
  while (total() > limit) {
    const auto widest = std::ranges::max_element(widths);
    if (*widest <= least_text) break;
    --*widest;
  }
  return widths;
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const auto fill = std::string(width - std::min(width, display_width(text)), ' ');
  return right ? fill + text : text + fill;
}

std::string grid_text(const Grid& g, std::size_t limit) {
  const auto widths = widths_of(g, limit);
  std::string out;
  for (const auto& line : g.lines) {
    std::string text;
    for (std::size_t c = 0; c < line.size(); ++c) text.append(c == 0 ? 0 : gap, ' ').append(padded(cut(line[c], widths[c]), widths[c], g.right[c]));
    text.erase(text.find_last_not_of(' ') + 1);
    if (!text.empty()) out += text + "\n";
  }
  return out;
}

std::string paragraphs_text(const Table& t, std::size_t width) {
  std::string out, heading;
  for (const auto& r : t.records) {
    const auto now = shown(r.cells[0], t.fields[0].kind);
    if (now != heading) out.append(out.empty() ? "" : "\n").append(wrapped(now, width, 2)).append("\n");
    heading = now;
    out += "  " + shown(r.cells[1], t.fields[1].kind) + "\n";
    for (std::size_t f = 2; f < t.fields.size(); ++f) {
      if (t.fields[f].machines_only || is_empty(r.cells[f])) continue;
      out += wrapped(fmt::format("    {:<9}{}", t.fields[f].heading, shown(r.cells[f], t.fields[f].kind)), width, 13) + "\n";
    }
  }
  return out;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string markdown_line(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const auto& c : cells) out += fmt::format(" {} |", escaped(c));
  return out + "\n";
}

std::string markdown_table(const Table& t) {
  if (t.form == Form::paragraphs) return "```\n" + paragraphs_text(t, 120) + "```\n";
  const auto g = grid(t);
  std::string out = markdown_line(g.lines[0]) + "|";
  for (const bool right : g.right) out += right ? "---:|" : "---|";
  out += "\n";
  for (std::size_t l = 1; l < g.lines.size(); ++l) out += markdown_line(g.lines[l]);
  return out;
}

std::string csv_cell(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return csv_text(*text);
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return std::to_string(*whole);
  if (const auto* flag = std::get_if<bool>(&cell)) return *flag ? "true" : "false";
  if (const auto* list = std::get_if<std::vector<std::int32_t>>(&cell)) return fmt::format("{}", fmt::join(*list, " "));
  const auto* number = std::get_if<double>(&cell);
  return number && std::isfinite(*number) ? fmt::format("{}", *number) : "";
}

}  // namespace

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

Grid grid(const Table& t) { return t.form == Form::columns ? columns_grid(t) : rows_grid(t); }

std::size_t display_width(std::string_view utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string shown(const Cell& cell, Kind kind) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* flag = std::get_if<bool>(&cell)) return *flag ? "yes" : "no";
  if (const auto* number = std::get_if<double>(&cell)) return shown_number(*number, kind);
  if (const auto* list = std::get_if<std::vector<std::int32_t>>(&cell)) return fmt::format("{}", fmt::join(*list, " "));
  const auto* whole = std::get_if<std::int64_t>(&cell);
  if (!whole) return "-";
  const auto size = static_cast<std::uint64_t>(*whole);
  return *whole < 0 ? fmt::format("-{}", fmt::group_digits(0 - size)) : fmt::format("{}", fmt::group_digits(size));
}

std::string wrapped(std::string_view text, std::size_t width, std::size_t hanging) {
  std::string out;
  std::size_t column = 0;
  const auto indent = std::min(text.find_first_not_of(' '), text.size());
  std::string pending(text.substr(0, indent));  // spaces before the next word
  text.remove_prefix(indent);
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, end);
    const bool fits = column == 0 || column + pending.size() + display_width(word) <= width;
    out += fits ? pending : "\n" + std::string(hanging, ' ');
    column = (fits ? column + pending.size() : hanging) + display_width(word);
    out += word;
    text.remove_prefix(end);
    const auto spaces = std::min(text.find_first_not_of(' '), text.size());
    pending = text.substr(0, spaces);
    text.remove_prefix(spaces);
  }
  return out;
}

std::string to_terminal(const Report& report, const Terminal& terminal) {
  const auto styled = [&](std::string_view style, const std::string& text) { return terminal.colour ? std::string(style) + text + std::string(plain) : text; };
  std::string out;
  if (!report.answer.empty()) out += styled(report.feasible ? bold : red_bold, wrapped(report.answer, terminal.width)) + "\n";
  for (const auto& t : report.tables) {
    if (t.machines_only || t.records.empty()) continue;
    if (!out.empty()) out += "\n";
    if (!t.title.empty()) out += styled(bold, t.title) + "\n";
    out += t.form == Form::paragraphs ? paragraphs_text(t, terminal.width) : grid_text(grid(t), terminal.width);
  }
  if (!report.notes.empty() && !out.empty()) out += "\n";
  for (const auto& note : report.notes) out += wrapped("* " + note, terminal.width, 2) + "\n";
  return out;
}

std::string to_markdown(const Report& report) {
  std::string out;
  if (!report.answer.empty()) out += report.answer + "\n";
  for (const auto& t : report.tables) {
    if (t.machines_only || t.records.empty()) continue;
    if (!out.empty()) out += "\n";
    if (!t.title.empty()) out += fmt::format("### {}\n\n", t.title);
    out += markdown_table(t);
  }
  if (!report.notes.empty()) out += "\n";
  for (const auto& note : report.notes) out += "- " + note + "\n";
  return out;
}

std::string to_csv(const Report& report) {
  const auto& t = report.csv ? *report.csv : report.tables.front();
  const bool named = std::ranges::any_of(t.records, [](const Record& r) { return !r.name.empty(); });
  std::string out = named ? "name" : "";
  for (const auto& f : t.fields) out.append(out.empty() ? "" : ",").append(csv_text(f.key));
  out += "\n";
  for (const auto& r : t.records) {
    std::string line = named ? csv_text(r.name) : "";
    for (std::size_t f = 0; f < r.cells.size(); ++f) line.append(named || f > 0 ? "," : "").append(csv_cell(r.cells[f]));
    out += line + "\n";
  }
  return out;
}

}  // namespace fathom::simulator
