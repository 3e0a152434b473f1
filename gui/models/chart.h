// A chart as data: all that a plot shows, before anybody draws it. Models make it, one widget draws every chart, tests compare dump().
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fathom::gui {

struct Axis {
  std::string title;  // with its unit
  bool logarithmic = false;
  std::vector<std::string> categories{};  // names at 0, 1, 2, ... instead of numbers, first one at the top (y) or at the left (x)
  std::optional<double> least{}, most{};  // of the range at first; absent: what the marks take
};

// One thing that can be pointed at.
struct Mark {
  double x = 0, y = 0;  // a line breaks where y is NAN: something belongs there that has no value
  double size = 0;      // spans: length along x, from x; cells: the value shown as a colour, NAN: none
  std::string key;      // what it stands for, the same in every view; empty: nothing that other views know
  std::string tip;      // lines shown beside the pointer
};

enum class Look : unsigned char {
  line,    // through the marks, in order of x
  dashed,  // the same, for what others published or what is only a bound
  points,
  bars,   // horizontal, from the end of the bar of the series before at the same category y, x long: stacked
  spans,  // a box of length `size` from x, in row y
  cells,  // a box around (x, y), coloured by `size`: a heat map over a regular grid
};

struct Series {
  std::string name;
  Look look = Look::line;
  std::vector<Mark> marks{};
  int colour = -1;  // of the palette, from 0; -1: by the order of the series. The same thing has the same colour in every chart
};

// A straight line across the plot with a word beside it: a limit, a peak.
struct Guide {
  bool vertical = true;
  double at = 0;
  std::string text;
};

struct Chart {
  std::string title;
  Axis x, y;
  std::vector<Series> series;
  std::vector<Guide> guides;
  std::string colour_title;  // of cells: what the colour means, with its unit
  std::string empty;         // why there is nothing to show; empty: there is
};

std::string to_csv(const Chart&);  // series,x,y,size,key: one line a mark, RFC 4180; NAN is empty
std::string dump(const Chart&);    // for tests: titles, then one line a mark with six significant digits

}  // namespace fathom::gui
