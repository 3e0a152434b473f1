#include "gui/models/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "gui/models/html.h"
#include "gui/models/metrics.h"

namespace fathom::gui {
namespace {

// One page for the browser, the printer and QTextDocument, which knows neither flex nor max-width.
constexpr std::string_view style = R"(
@page { margin: 16mm }
body { font-family: "DejaVu Sans", Helvetica, Arial, sans-serif; font-size: 10pt; color: #1f2328; background-color: #ffffff; margin: 24px }
h1 { font-size: 18pt; margin-bottom: 4px }
h2 { font-size: 13pt; margin-top: 22px; margin-bottom: 6px; color: #0b62a8 }
p.answer { font-size: 12pt; font-weight: bold }
p.refused { font-size: 12pt; font-weight: bold; color: #b3400e }
table { border-collapse: collapse; font-size: 9pt }
tr { page-break-inside: avoid }
th { padding: 3px 7px; border-bottom: 1px solid #767c85; background-color: #f3f4f6; text-align: left; vertical-align: bottom }
td { padding: 3px 7px; border-bottom: 1px solid #e2e5e9; vertical-align: top }
li { margin-bottom: 2px }
)";

constexpr int picture_width = 620;  // of an A4 page's 642 pixels between margins of 2 cm

std::string heading(std::string_view text) { return fmt::format("<h2>{}</h2>\n", escaped_html(text)); }

// A cell's attributes, by column. Not CSS: QTextDocument neither aligns cells by style nor draws the borders of a cell with one, and gives a long text no
// more room than a short one unless it is told.
std::vector<std::string> attributes(const Grid& g) {
  constexpr std::size_t long_text = 60;
  std::vector<std::string> out;
  for (std::size_t c = 0; c < g.right.size(); ++c) {
    const bool text = std::ranges::any_of(g.lines, [&](const std::vector<std::string>& line) { return line[c].size() > long_text; });
    out.emplace_back(g.right[c] ? " align=\"right\" nowrap" : text ? " width=\"65%\"" : "");
  }
  return out;
}

std::string line_html(const std::vector<std::string>& cells, const std::vector<std::string>& attributes, std::string_view tag) {
  std::string out = "<tr>";
  for (std::size_t c = 0; c < cells.size(); ++c) out += fmt::format("<{}{}>{}</{}>", tag, attributes[c], escaped_html(cells[c]), tag);
  return out + "</tr>\n";
}

std::string table_html(const Table& t) {
  if (t.records.empty()) return {};
  const auto g = grid(t);
  const auto each = attributes(g);
  std::string out = t.title.empty() ? std::string() : heading(t.title);
  out += "<table cellspacing=\"0\">\n";
  const bool headed = std::ranges::any_of(g.lines[0], [](const std::string& h) { return !h.empty(); });
  if (headed) out += "<thead>" + line_html(g.lines[0], each, "th") + "</thead>\n";
  for (std::size_t l = 1; l < g.lines.size(); ++l) out += line_html(g.lines[l], each, "td");
  return out + "</table>\n";
}

Table titled(Table t, std::string title) {
  t.title = std::move(title);
  return t;
}

std::string list_html(std::string_view title, const std::vector<std::string>& items) {
  if (items.empty()) return {};
  auto out = heading(title) + "<ul>\n";
  for (const auto& item : items) out += fmt::format("<li>{}</li>\n", escaped_html(item));
  return out + "</ul>\n";
}

Table main_figures(const Answer& a) {
  Table t{.key = "figures", .title = "Main figures", .form = Form::columns, .fields = {}, .records = {{"", {}}}};
  for (const auto& m : metrics()) {
    const auto v = m.value(a);
    t.fields.push_back({std::string(m.id), label(m), m.kind});
    t.records[0].cells.push_back(v ? Cell{*v} : Cell{});
  }
  return t;
}

// A figure bears its title.
std::string figures_html(const std::vector<std::pair<std::string, std::string>>& figures) {
  std::string out;
  for (const auto& [title, source] : figures)
    out += fmt::format("<p><img src=\"{}\" alt=\"{}\" width=\"{}\"></p>\n", escaped_html(source), escaped_html(title), picture_width);
  return out;
}

// Where the measured fractions of the peaks come from: each source once, with the kinds of operators that rest on it.
Table rates_table(const hardware_profiles::Calibration& c) {
  Table t{.key = "rates",
          .title = fmt::format("Rates of {} and their sources", c.name),
          .form = Form::rows,
          .fields = {{"families", "operators", Kind::text}, {"from", "from", Kind::text}, {"source", "source", Kind::text}},
          .records = {}};
  const auto all = cli::efficiency_table(c);
  const auto field = [&](std::string_view key) { return static_cast<std::size_t>(std::ranges::find(all.fields, key, &TableField::key) - all.fields.begin()); };
  const auto family = field("family"), type = field("arithmetic"), from = field("rate_from"), source = field("source");
  for (const auto& r : all.records) {
    const auto name = fmt::format("{} {}", shown(r.cells[family], Kind::text), shown(r.cells[type], Kind::text));
    const auto same = std::ranges::find_if(t.records, [&](const Record& o) { return o.cells[1] == r.cells[from] && o.cells[2] == r.cells[source]; });
    if (same == t.records.end()) t.records.push_back({"", {name, r.cells[from], r.cells[source]}});
    else std::get<std::string>(same->cells[0]) += ", " + name;
  }
  return t;
}

// Phases on machines of one kind share its tables.
std::string sources_html(const Answer& a) {
  std::string out;
  const bool shared = a.scenario->prefill.system == a.scenario->decode.system;
  for (const auto& [profile, calibration] : std::span(a.systems).first(shared ? 1 : 2)) {
    out += table_html(titled(cli::profile_table(profile), fmt::format("Every number of {} and its source", profile.name)));
    out += table_html(rates_table(calibration));
  }
  return out;
}

std::string faults_html(const Answer& a) {
  std::vector<std::string> items;
  std::ranges::transform(a.faults, std::back_inserter(items), line_of);
  return "<p class=\"refused\">There is no estimate of this scenario.</p>\n" + list_html("What is wrong with it", items);
}

std::string estimate_html(const Answer& a, const std::vector<std::pair<std::string, std::string>>& figures) {
  auto out = fmt::format("<p class=\"{}\">{}</p>\n", a.report.feasible ? "answer" : "refused", escaped_html(a.report.answer));
  out += table_html(main_figures(a)) + figures_html(figures);
  for (const auto& t : a.report.tables)
    if (!t.machines_only) out += table_html(t.title.empty() ? titled(t, "Both phases") : t);
  for (const auto p : {PhaseName::prefill, PhaseName::decode}) out += table_html(cli::steps_table(std::string(name_of(p)), a.estimated(p)));
  out += table_html(titled(cli::settings_table(a.settings), "Assumptions: every setting in force"));
  return out + list_html("Notes", a.report.notes) + sources_html(a);
}

}  // namespace

std::string report_html(const Answer& a, const std::vector<std::pair<std::string, std::string>>& figures) {
  const auto title = escaped_html("Fathom: " + (a.scenario ? a.scenario->model.name : "a scenario"));
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<h1>{}</h1>\n"
      "{}</body>\n</html>\n",
      title, style, title, a.faults.empty() ? estimate_html(a, figures) : faults_html(a));
}

}  // namespace fathom::gui
