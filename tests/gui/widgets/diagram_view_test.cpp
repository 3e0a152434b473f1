#include "gui/widgets/diagram_view.h"

#include <gtest/gtest.h>

#include <QApplication>
#include <QFile>
#include <QGraphicsItem>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include "gui/widgets/diagram_scene.h"
#include "gui/widgets/palette.h"

namespace fathom::gui {
namespace {

// A column of boxes "0", "1", ... with keys "key0", ...
Diagram column(int count, const std::string& title = "column") {
  Diagram d;
  d.title = title;
  for (int i = 0; i < count; ++i)
    d.nodes.push_back({.key = "key" + std::to_string(i), .label = std::to_string(i), .detail = "detail", .tip = "tip", .at = {0, row_step * i}});
  for (int i = 1; i < count; ++i) d.edges.push_back({.from = static_cast<std::size_t>(i - 1), .to = static_cast<std::size_t>(i), .label = {}, .bends = {}});
  return d;
}

struct DiagramViewTest : testing::Test {
  DiagramView view;
  QSignalSpy clicks{&view, &DiagramView::key_clicked};

  DiagramViewTest() {
    view.resize(400, 300);
    view.set_diagram(column(3));
    view.show();
  }
  QPoint place_of(int node) {
    for (const auto* item : view.scene()->items())
      if (!item->parentItem() && node_of(item) == node) return view.mapFromScene(item->sceneBoundingRect().center());
    return {-1, -1};
  }
};

TEST_F(DiagramViewTest, AClickEmitsTheKey) {
  QTest::mouseClick(view.viewport(), Qt::LeftButton, {}, place_of(1));
  ASSERT_EQ(clicks.size(), 1);
  EXPECT_EQ(clicks[0][0].toString(), "key1");
  EXPECT_EQ(view.selected(), "key1");
  QTest::mouseClick(view.viewport(), Qt::LeftButton, {}, {2, 2});  // beside the boxes
  EXPECT_EQ(clicks.size(), 1);
}

TEST_F(DiagramViewTest, ABoxWithoutKeyIsNotClicked) {
  auto d = column(1);
  d.nodes[0].key.clear();
  view.set_diagram(d);
  QTest::mouseClick(view.viewport(), Qt::LeftButton, {}, place_of(0));
  EXPECT_EQ(clicks.size(), 0);
}

TEST_F(DiagramViewTest, ADragPansAndClicksNothing) {
  view.set_diagram(column(40));
  const auto before = place_of(2);
  QTest::mousePress(view.viewport(), Qt::LeftButton, {}, before);
  QTest::mouseMove(view.viewport(), before - QPoint(0, 30));
  QTest::mouseMove(view.viewport(), before - QPoint(0, 60));
  QTest::mouseRelease(view.viewport(), Qt::LeftButton, {}, before - QPoint(0, 60));
  EXPECT_EQ(place_of(2).y(), before.y() - 60);
  EXPECT_EQ(clicks.size(), 0);
}

TEST_F(DiagramViewTest, KeysGoFromBoxToBox) {
  view.set_selected("key0");
  QTest::keyClick(&view, Qt::Key_Down);
  EXPECT_EQ(view.selected(), "key1");
  QTest::keyClick(&view, Qt::Key_Down);
  QTest::keyClick(&view, Qt::Key_Down);  // no further box
  EXPECT_EQ(view.selected(), "key2");
  QTest::keyClick(&view, Qt::Key_Up);
  EXPECT_EQ(clicks.size(), 0);
  QTest::keyClick(&view, Qt::Key_Return);
  ASSERT_EQ(clicks.size(), 1);
  EXPECT_EQ(clicks[0][0].toString(), "key1");
}

TEST_F(DiagramViewTest, BeginsWhole) {
  EXPECT_LE(view.transform().m11(), 1);
  EXPECT_TRUE(view.mapToScene(view.viewport()->rect()).boundingRect().contains(view.scene()->itemsBoundingRect()));
}

TEST_F(DiagramViewTest, BeginsReadableAtTheTopIfItIsTooLong) {
  view.set_diagram(column(60));
  EXPECT_GT(view.transform().m11(), 0.6);
  EXPECT_TRUE(view.viewport()->rect().contains(place_of(0)));
  QTest::keyClick(&view, Qt::Key_0);
  EXPECT_TRUE(view.viewport()->rect().contains(place_of(59)));
}

TEST_F(DiagramViewTest, ANewAnswerKeepsTheZoomAndAnotherDiagramDoesNot) {
  const double begun = view.transform().m11();
  QTest::keyClick(&view, Qt::Key_Plus);
  const double zoomed = view.transform().m11();
  EXPECT_GT(zoomed, begun);
  view.set_diagram(column(3));
  EXPECT_EQ(view.transform().m11(), zoomed);
  view.set_diagram(column(3, "other"));
  EXPECT_EQ(view.transform().m11(), begun);
}

TEST_F(DiagramViewTest, FollowsThePalette) {
  view.setPalette(palette_of(Theme::dark));
  EXPECT_EQ(view.grab().toImage().pixelColor(2, 2), palette_of(Theme::dark).color(QPalette::Base));
  view.setPalette(palette_of(Theme::light));
  EXPECT_EQ(view.grab().toImage().pixelColor(2, 2), palette_of(Theme::light).color(QPalette::Base));
}

TEST_F(DiagramViewTest, ExportsByTheEnding) {
  const QTemporaryDir folder;
  QString error;
  for (const auto& [name, head] : {std::pair{"a.png", "\x89PNG"}, {"a.svg", "<?xml"}, {"a.PDF", "%PDF"}}) {
    ASSERT_TRUE(view.export_to(folder.filePath(name), &error)) << error.toStdString();
    QFile file(folder.filePath(name));
    ASSERT_TRUE(file.open(QIODevice::ReadOnly));
    EXPECT_TRUE(file.readAll().startsWith(head)) << name;
  }
  EXPECT_EQ(QImage(folder.filePath("a.png")).size(), (2 * view.sceneRect().size()).toSize());
}

TEST_F(DiagramViewTest, VectorPicturesAreOnWhite) {
  view.setPalette(palette_of(Theme::dark));
  const QTemporaryDir folder;
  QString error;
  ASSERT_TRUE(view.export_to(folder.filePath("a.png"), &error));
  EXPECT_EQ(QImage(folder.filePath("a.png")).pixelColor(1, 1), palette_of(Theme::dark).color(QPalette::Base));
  ASSERT_TRUE(view.export_to(folder.filePath("a.svg"), &error));
  QFile file(folder.filePath("a.svg"));
  ASSERT_TRUE(file.open(QIODevice::ReadOnly));
  EXPECT_FALSE(file.readAll().contains(palette_of(Theme::dark).color(QPalette::Base).name().toUtf8()));
}

TEST_F(DiagramViewTest, SaysWhyItDidNotExport) {
  const QTemporaryDir folder;
  QString error;
  EXPECT_FALSE(view.export_to(folder.filePath("a.doc"), &error));
  EXPECT_TRUE(error.contains("a.doc") && error.contains(".svg")) << error.toStdString();
  EXPECT_FALSE(view.export_to(folder.filePath("no/a.png"), &error));
  EXPECT_TRUE(error.contains(": cannot be saved: ")) << error.toStdString();
  view.set_diagram({.title = "t", .nodes = {}, .edges = {}, .frames = {}, .empty = "It does not fit."});
  EXPECT_FALSE(view.export_to(folder.filePath("a.png"), &error));
  EXPECT_FALSE(QFile::exists(folder.filePath("a.png")));
}

}  // namespace
}  // namespace fathom::gui
