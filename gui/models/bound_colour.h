// The colours that mean the same in every chart and diagram: of what bounds an operator, and of what is only there to compare with.
#pragma once

#include <array>

#include "model_spec/trace.h"

namespace fathom::gui {

constexpr int neutral_colour = 7;
constexpr int bound_colour(model_spec::Bound b) {
  constexpr std::array<int, model_spec::bound_names.size()> colours{0, 1, 2, 3, 6};
  return colours[static_cast<std::size_t>(b)];
}

}  // namespace fathom::gui
