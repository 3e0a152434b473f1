// Scenarios to begin with, compiled in (examples/*.toml).
#pragma once

#include <string>
#include <vector>

namespace fathom::gui {

struct Example {
  std::string name;  // "One node of H200"
  std::string text;
};
std::vector<Example> examples();  // the first one is shown at the first start

}  // namespace fathom::gui
