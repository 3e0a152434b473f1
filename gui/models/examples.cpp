#include "gui/models/examples.h"

#include "model_spec/embedded.h"

namespace fathom::gui {

std::vector<Example> examples() {
  std::vector<Example> out;
  for (const auto& file : embedded::gui_examples()) {
    const auto title = file.text.substr(2, file.text.find('\n') - 2);  // "# title"
    out.push_back({std::string(title), std::string(file.text)});
  }
  return out;
}

}  // namespace fathom::gui
