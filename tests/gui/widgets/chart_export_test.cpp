#include "gui/widgets/chart_export.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QFile>
#include <QTemporaryDir>

#include "gui/widgets/chart_view.h"
#include "gui/widgets/palette.h"

namespace fathom::gui {
namespace {

Chart small_chart() {
  Chart c;
  c.title = "Time by operator";
  c.x.title = "Time, us";
  c.y.categories = {"attention"};
  c.series = {{"busy", Look::bars, {{3, 0, 0, "a", ""}}}, {"idle", Look::bars, {{1, 0, 0, "b", ""}}}};
  return c;
}

class ChartExportTest : public testing::Test {
 protected:
  ChartExportTest() {
    view.setPalette(palette_of(Theme::dark));
    view.set_chart(small_chart());
  }

  QString in_folder(const char* name) const { return folder.filePath(QLatin1String(name)); }
  QByteArray exported(const char* name) {
    QString error;
    EXPECT_TRUE(view.export_to(in_folder(name), &error)) << error.toStdString();
    return read(in_folder(name));
  }
  static QByteArray read(const QString& path) {
    QFile file(path);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
  }

  QTemporaryDir folder;
  ChartView view;
};

TEST_F(ChartExportTest, PictureHasTwiceThePixelsAndTheTheme) {
  const auto image = QImage::fromData(exported("x.png"), "PNG");
  EXPECT_GE(image.width(), 1280);
  EXPECT_EQ(image.pixelColor(2, 2), palette_of(Theme::dark).color(QPalette::Base));
}

TEST_F(ChartExportTest, DrawingIsOnWhiteWithItsTitle) {
  const auto svg = exported("x.svg");
  EXPECT_TRUE(svg.startsWith("<?xml"));
  EXPECT_TRUE(svg.contains(">Time by operator</text>"));
  EXPECT_TRUE(svg.contains(">attention</text>"));
  EXPECT_TRUE(svg.contains("fill=\"#ffffff\""));
  EXPECT_FALSE(svg.contains(palette_of(Theme::dark).color(QPalette::Base).name().toLatin1()));
}

TEST_F(ChartExportTest, PageIsPdf) { EXPECT_TRUE(exported("x.pdf").startsWith("%PDF-")); }

TEST_F(ChartExportTest, DataAreThoseOfTheModel) { EXPECT_EQ(exported("x.csv").toStdString(), to_csv(small_chart())); }

TEST_F(ChartExportTest, ScreenStaysAsItWas) {
  exported("x.svg");
  const auto* figure = view.findChild<QCustomPlot*>();
  EXPECT_EQ(figure->xAxis->labelColor(), palette_of(Theme::dark).color(QPalette::Text));
}

TEST_F(ChartExportTest, FailuresSayWhy) {
  QString error;
  EXPECT_FALSE(view.export_to(in_folder("none/x.png"), &error));
  EXPECT_TRUE(error.startsWith(in_folder("none/x.png") + ": cannot be saved: ")) << error.toStdString();
  EXPECT_FALSE(view.export_to(in_folder("x.doc"), &error));
  EXPECT_EQ(error, in_folder("x.doc") + ": a picture is .png, .svg or .pdf");
  auto c = small_chart();
  c.empty = "Decode does not fit.";
  view.set_chart(c);
  EXPECT_FALSE(view.export_to(in_folder("x.png"), &error));
  EXPECT_EQ(error, in_folder("x.png") + ": cannot be saved: Decode does not fit.");
  EXPECT_FALSE(QFile::exists(in_folder("x.png")));
}

TEST_F(ChartExportTest, RowsBeyondTheScreenAreThere) {
  auto c = small_chart();
  for (int i = 0; i < 80; ++i) c.y.categories.push_back("row " + std::to_string(i));
  view.set_chart(c);
  EXPECT_TRUE(exported("x.svg").contains(">row 79</text>"));
}

}  // namespace
}  // namespace fathom::gui
