#include "gui/widgets/report_file.h"

#include <gtest/gtest.h>

#include <QTextDocument>

#include "gui/models/report_html.h"

namespace fathom::gui {
namespace {

TEST(ReportFile, NothingIsWiderThanAPage) {
  QTextDocument document;
  set_report(document, report_html(answer("", "x.toml"), {}));
  constexpr double page = 642;  // pixels of A4 between margins of 2 cm
  document.setTextWidth(page);
  EXPECT_LE(document.size().width(), page);
}

}  // namespace
}  // namespace fathom::gui
