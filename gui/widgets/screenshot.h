// Pictures of the window and of each view, for tests and documentation.
#pragma once

#include <QString>

#include "gui/widgets/main_window.h"

namespace fathom::gui {

// Shows the window and waits until all of it shows its answer, ten seconds at most.
void show_and_wait(MainWindow& window);
// Writes <folder>/window.png and <folder>/<view>.png. Precondition: show_and_wait(). Throws model_spec::Error{io}.
void take_screenshots(MainWindow& window, const QString& folder);

}  // namespace fathom::gui
