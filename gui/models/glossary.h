// The words of the field, as the app and its reports use them.
#pragma once

#include <span>
#include <string>

namespace fathom::gui {

struct Term {
  const char* word;
  const char* meaning;
};
std::span<const Term> glossary();  // by the alphabet
// Glossary and the formulas of the time of an operator, as HTML of QTextDocument's kind.
std::string help_html();
// Program, version, licences of what it is made of.
std::string about_html();

}  // namespace fathom::gui
