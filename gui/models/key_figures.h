// The main figures of an answer, each with where it came from and how it was computed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gui/models/answer.h"

namespace fathom::gui {

struct KeyFigure {
  std::string key;               // "figure/tpot"
  std::string label, unit;       // "Time per output token", "ms"; as metrics() calls it
  std::string value;             // as people read it
  double number = 0;             // in full
  std::string source;            // kinds of rates that it rests on, longest time first
  bool inside = true;            // all within what was measured
  std::string symbolic, filled;  // the formula, and with its values: an expression of numbers, + - * / and parentheses that gives `number` to eight digits
};

// Most important first; none if the scenario has faults or does not fit.
std::vector<KeyFigure> key_figures(const Answer&);

// What a key stands for as HTML of QTextDocument's kind: a figure's formula, or an operator's with all its terms. Empty: the key is unknown.
std::string explanation(const Answer&, std::string_view key);

}  // namespace fathom::gui
