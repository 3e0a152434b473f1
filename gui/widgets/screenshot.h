// Pictures of the window and of each view, for tests and documentation.
#pragma once

#include <QString>

#include "gui/widgets/main_window.h"

namespace fathom::gui {

// Until all that can be seen of the window shows its answer, ten seconds at most.
void wait_for_answer(MainWindow& window);
// Writes <folder>/window.png and <folder>/<view>.png. Precondition: it is shown, and wait_for_answer(). Throws model_spec::Error{io}.
void take_screenshots(MainWindow& window, const QString& folder);

}  // namespace fathom::gui
