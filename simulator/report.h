// Results as values with kinds, rendered when all is computed: for a terminal, as Markdown, CSV or JSON. The same report always gives the same bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fathom::simulator {

// How people read a value; machines get it in full.
enum class Kind : std::uint8_t { text, count, real, fixed, usd, percent };

struct TableField {
  std::string key;      // for machines, with its unit: ttft_ms
  std::string heading;  // for people, with its unit: TTFT, ms
  Kind kind = Kind::real;
  bool machines_only = false;
};

// monostate: does not apply. A list is an array in JSON, elsewhere numbers with spaces between them.
using Cell = std::variant<std::monostate, bool, std::int64_t, double, std::string, std::vector<std::int32_t>>;

struct Record {
  std::string name;  // what the record is about, or empty if a field says it
  std::vector<Cell> cells;
};

enum class Form : std::uint8_t {
  rows,        // a line per record
  columns,     // a column per record, a line per field: a few records side by side
  paragraphs,  // the first field is a heading where it changes, the second names the record, each further one takes a line
};

struct Table {
  std::string key;    // in JSON
  std::string title;  // empty: none
  Form form = Form::rows;
  std::vector<TableField> fields;
  std::vector<Record> records;  // named: an object of objects in JSON; unnamed: an array
  bool machines_only = false;   // JSON alone
};

struct Report {
  std::string answer;  // one sentence
  bool feasible = true;
  std::vector<Table> tables;
  std::vector<std::string> notes;  // where numbers come from, what was assumed
  std::optional<Table> csv;        // what CSV holds, if not the first table
};

struct Terminal {
  std::size_t width = 80;
  bool colour = false;
};
std::string to_terminal(const Report&, const Terminal&);
std::string to_markdown(const Report&);
std::string to_csv(const Report&);   // RFC 4180, lines end in \n
std::string to_json(const Report&);  // report_json.cpp; "schema_version": 1

// A table as people read it, cell by cell; the first line holds the headings. Not of Form::paragraphs.
struct Grid {
  std::vector<std::vector<std::string>> lines;
  std::vector<bool> right;  // by column: numbers
};
Grid grid(const Table&);

// A cell as people read it: 12,345; 0.3124; "-" for what does not apply.
std::string shown(const Cell&, Kind);
// A text as a field of CSV: in quotes if it must be.
std::string csv_text(const std::string&);
// `text` in lines of at most `width` cells, broken at spaces, each after the first indented by `hanging`.
std::string wrapped(std::string_view text, std::size_t width, std::size_t hanging = 0);
std::size_t display_width(std::string_view utf8);

}  // namespace fathom::simulator
