#include "gui/widgets/main_window.h"

#include <gmock/gmock.h>

#include <QAbstractItemView>
#include <QApplication>
#include <QDropEvent>
#include <QElapsedTimer>
#include <QFile>
#include <QMenuBar>
#include <QMessageBox>
#include <QMimeData>
#include <QPushButton>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <set>

#include "gui/models/file.h"
#include "gui/widgets/command_palette.h"
#include "gui/widgets/screenshot.h"
#include "model_spec/error.h"

namespace fathom::gui {
namespace {

constexpr int patience_ms = 10'000;

// Presses a button of the next modal message box.
void press(const QString& box, const QString& button) {
  QTimer::singleShot(0, qApp, [=] {
    auto* open = qobject_cast<QMessageBox*>(QApplication::activeModalWidget());
    ASSERT_TRUE(open);
    EXPECT_EQ(open->objectName(), box);
    for (auto* b : open->buttons())
      if (b->text().remove(u'&') == button) return QTest::mouseClick(b, Qt::LeftButton);
    FAIL() << "no button " << button.toStdString();
  });
}

class Window : public testing::Test {
 protected:
  Window() { window_.show(); }

  QString path(const char* name) const { return folder_.filePath(QString::fromLatin1(name)); }
  QString file(const char* name, std::string_view text) const {
    write_file(path(name), text);
    return path(name);
  }
  // Does something, and waits until the answer is of what came of it.
  template <class Work>
  void answered(Work work) {
    work();
    QApplication::processEvents();
    ASSERT_TRUE(QTest::qWaitFor([&] { return !window_.busy(); }, patience_ms));
  }
  std::int64_t isl() const { return window_.answer()->scenario->workload.isl; }

  // Presses a button of a message box that comes some time later.
  void press_when_shown(const QString& box, const QString& button) {
    auto* timer = new QTimer(&window_);
    QObject::connect(timer, &QTimer::timeout, timer, [=] {
      auto* open = qobject_cast<QMessageBox*>(QApplication::activeModalWidget());
      if (!open || open->objectName() != box) return;
      timer->stop();
      for (auto* b : open->buttons())
        if (b->text().remove(u'&') == button) QTest::mouseClick(b, Qt::LeftButton);
    });
    timer->start(10);
  }

  QTemporaryDir folder_;
  MainWindow window_{folder_.path()};
};

TEST_F(Window, BeginsWithAnExampleThatIsNoChange) {
  answered([] {});
  EXPECT_TRUE(window_.answer()->report.feasible);
  EXPECT_FALSE(window_.document().modified());
  EXPECT_TRUE(window_.findChild<QLabel*>(QStringLiteral("sentence"))->text().startsWith(QStringLiteral("Fits: deepseek-v3.2 on")));
}

TEST_F(Window, OpensEditsUndoesAndSaves) {
  answered([&] { ASSERT_TRUE(window_.open(file("s.toml", "# mine\n[workload]\nisl = 3000 # in\n"))); });
  EXPECT_EQ(isl(), 3000);
  EXPECT_EQ(window_.windowTitle(), QStringLiteral("s.toml[*] - Fathom"));
  answered([&] { window_.document().set("workload.isl", "5000", QStringLiteral("Input tokens")); });
  EXPECT_EQ(isl(), 5000);
  EXPECT_TRUE(window_.isWindowModified());
  answered([&] { window_.document().undo().undo(); });
  EXPECT_EQ(isl(), 3000);
  EXPECT_FALSE(window_.isWindowModified());
  answered([&] { window_.document().undo().redo(); });
  EXPECT_TRUE(window_.save());
  EXPECT_FALSE(window_.isWindowModified());
  QFile saved(path("s.toml"));
  ASSERT_TRUE(saved.open(QIODevice::ReadOnly));
  EXPECT_EQ(saved.readAll(), "# mine\n[workload]\nisl = 5000 # in\n");
}

TEST_F(Window, AFileThatCannotBeReadIsSaidAndLosesNothing) {
  answered([&] { window_.open(file("s.toml", "[workload]\nisl = 3000\n")); });
  press({}, QStringLiteral("OK"));
  EXPECT_FALSE(window_.open(path("none.toml")));
  EXPECT_EQ(window_.document().path(), path("s.toml"));
  EXPECT_EQ(isl(), 3000);
}

TEST_F(Window, FaultsAreShownWithTheirLines) {
  answered([&] { window_.open(file("bad.toml", "[workload]\nisl = -1\n")); });
  EXPECT_EQ(window_.views().dock(QStringLiteral("problems"))->windowTitle(), QStringLiteral("Problems (1)"));
  const auto* list = window_.findChild<ProblemsView*>();
  ASSERT_EQ(list->count(), 1);
  EXPECT_TRUE(list->item(0)->text().startsWith(QStringLiteral("line 2: workload.isl: "))) << list->item(0)->text().toStdString();
}

void drop(MainWindow& window, const QString& path) {
  QMimeData data;
  data.setUrls({QUrl::fromLocalFile(path)});
  QDragEnterEvent enter(QPoint(5, 5), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
  QApplication::sendEvent(&window, &enter);
  EXPECT_TRUE(enter.isAccepted());
  QDropEvent event(QPointF(5, 5), Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
  QApplication::sendEvent(&window, &event);
}

TEST_F(Window, ADroppedScenarioIsOpenedADroppedModelIsTaken) {
  answered([&] { drop(window_, file("dropped.toml", "[workload]\nisl = 2500\n")); });
  EXPECT_EQ(isl(), 2500);
  answered([&] { drop(window_, QStringLiteral("model_spec/specs/deepseek-v3.toml")); });
  EXPECT_EQ(window_.answer()->scenario->model.name, "deepseek-v3");
  EXPECT_EQ(isl(), 2500);
  EXPECT_TRUE(window_.document().modified());
}

TEST_F(Window, ClosingAsksAboutUnsavedChanges) {
  answered([&] { window_.open(file("s.toml", "[workload]\nisl = 3000\n")); });
  answered([&] { window_.document().set("workload.isl", "3001", QStringLiteral("Input tokens")); });
  press(QStringLiteral("unsaved_changes"), QStringLiteral("Cancel"));
  EXPECT_FALSE(window_.close());
  EXPECT_TRUE(window_.isVisible());
  press(QStringLiteral("unsaved_changes"), QStringLiteral("Save"));
  EXPECT_TRUE(window_.close());
  QFile saved(path("s.toml"));
  ASSERT_TRUE(saved.open(QIODevice::ReadOnly));
  EXPECT_EQ(saved.readAll(), "[workload]\nisl = 3001\n");
}

TEST_F(Window, AChangeOnDiskIsNoticed) {
  answered([&] { window_.open(file("s.toml", "[workload]\nisl = 3000\n")); });
  press_when_shown(QStringLiteral("changed_on_disk"), QStringLiteral("Reload"));
  file("s.toml", "[workload]\nisl = 3500\n");
  EXPECT_TRUE(QTest::qWaitFor([&] { return isl() == 3500; }, patience_ms));
}

TEST(Recovery, UnsavedWorkOfAnEarlierSessionComesBack) {
  const QTemporaryDir folder;
  { Session(folder.path()).keep({QStringLiteral("/none/there.toml"), "[workload]\nisl = 1234\n"}); }
  MainWindow window(folder.path());
  window.show();
  press(QStringLiteral("recovery"), QStringLiteral("Recover"));
  window.offer_recovery();
  EXPECT_TRUE(QTest::qWaitFor([&] { return window.answer()->scenario && window.answer()->scenario->workload.isl == 1234; }, patience_ms));
  EXPECT_TRUE(window.document().modified());
  EXPECT_EQ(window.document().name(), QStringLiteral("there.toml"));
}

TEST_F(Window, ReportsOfEveryKind) {
  QSignalSpy curved(&window_, &MainWindow::curved);
  ASSERT_TRUE(curved.wait(patience_ms));
  for (const auto& [name, begin] : {std::pair{"r.pdf", "%PDF"}, {"r.html", "<!DOCTYPE html>"}, {"r.md", "fits: "}, {"r.csv", "model,isl"}, {"r.json", "{"}}) {
    window_.write_report(path(name));
    QFile written(path(name));
    ASSERT_TRUE(written.open(QIODevice::ReadOnly)) << name;
    EXPECT_TRUE(written.readAll().startsWith(begin)) << name;
  }
  EXPECT_THROW(window_.write_report(path("none/r.pdf")), model_spec::Error);
  EXPECT_THROW(window_.write_report(path("r.doc")), model_spec::Error);
}

// Every view shows something.
TEST_F(Window, ScreenshotsOfEveryView) {
  window_.resize(1280, 800);
  wait_for_answer(window_);
  take_screenshots(window_, path("shots"));
  for (auto* dock : window_.views().docks()) {
    const QImage picture(path("shots") + QStringLiteral("/%1.png").arg(dock->objectName()));
    ASSERT_FALSE(picture.isNull()) << dock->objectName().toStdString();
    std::set<QRgb> colours;
    for (int y = 30; y < picture.height(); y += 2)
      for (int x = 0; x < picture.width(); x += 2) colours.insert(picture.pixel(x, y));
    const std::size_t least = dock->objectName() == QStringLiteral("problems") ? 1 : 2;  // no problems: an empty list
    EXPECT_GE(colours.size(), least) << dock->objectName().toStdString();
  }
  EXPECT_EQ(QImage(path("shots") + QStringLiteral("/window.png")).size(), QSize(1280, 800));
  for (const auto* chart : window_.findChildren<ChartView*>())
    EXPECT_TRUE(chart->accessibleDescription().contains(QStringLiteral(" marks")))
        << chart->objectName().toStdString() << ": " << chart->accessibleDescription().toStdString();
}

TEST_F(Window, SelectionIsSharedAndExplained) {
  answered([] {});
  const auto key = operator_key(PhaseName::decode, cli::operator_totals(window_.answer()->estimate->decode.trace)[3]);
  window_.views().select(QString::fromStdString(key));
  const auto details = window_.findChild<QTextBrowser*>()->toPlainText();
  EXPECT_TRUE(details.contains(QStringLiteral("time_total"))) << details.toStdString();
}

// From an edit to the repainted answer. Measured: 54 to 89 ms; a machine that is busy with other tests gets ten times the 150 ms that users get.
TEST_F(Window, AnEditIsAnsweredAtOnce) {
  answered([] {});
  std::vector<qint64> times;
  for (int i = 0; i < 5; ++i) {
    QElapsedTimer timer;
    timer.start();
    answered([&] { window_.document().set("workload.isl", std::to_string(3000 + i), QStringLiteral("Input tokens")); });
    window_.repaint();
    times.push_back(timer.elapsed());
  }
  std::ranges::sort(times);
  RecordProperty("median_ms", static_cast<int>(times[2]));
  EXPECT_LT(times[2], 1500);
}

TEST_F(Window, KeepingOnesOwnIsNotSaved) {
  answered([&] { window_.open(file("s.toml", "[workload]\nisl = 3000\n")); });
  press_when_shown(QStringLiteral("changed_on_disk"), QStringLiteral("Keep mine"));
  file("s.toml", "[workload]\nisl = 3500\n");
  EXPECT_TRUE(QTest::qWaitFor([&] { return window_.document().modified(); }, patience_ms));
  EXPECT_EQ(isl(), 3000);
  EXPECT_FALSE(window_.document().changed_on_disk());
}

TEST_F(Window, AFileThatIsGoneIsNotSaved) {
  answered([&] { window_.open(file("s.toml", "[workload]\nisl = 3000\n")); });
  QFile::remove(path("s.toml"));
  EXPECT_TRUE(QTest::qWaitFor([&] { return window_.document().modified(); }, patience_ms));
}

TEST_F(Window, SavingOverAnothersChangesIsAsked) {
  answered([&] { window_.open(file("s.toml", "[workload]\nisl = 3000\n")); });
  answered([&] { window_.document().set("workload.isl", "3001", QStringLiteral("Input tokens")); });
  file("s.toml", "[workload]\nisl = 3500\n");
  press(QStringLiteral("overwrite"), QStringLiteral("Cancel"));
  EXPECT_FALSE(window_.save());
  press(QStringLiteral("overwrite"), QStringLiteral("Overwrite"));
  EXPECT_TRUE(window_.save());
  EXPECT_FALSE(window_.document().modified());
}

TEST_F(Window, TypingTextStaysInTheText) {
  answered([] {});
  auto* source = window_.findChild<SourceView*>();
  QApplication::setActiveWindow(&window_);  // a display without a window manager activates none
  window_.views().dock(QStringLiteral("source"))->raise();
  source->setFocus();
  source->moveCursor(QTextCursor::End);
  answered([&] { QTest::keyClicks(source, QStringLiteral("x")); });  // half a word: a fault
  EXPECT_FALSE(window_.answer()->faults.empty());
  EXPECT_FALSE(source->visibleRegion().isEmpty());
  answered([&] { QTest::keyClick(source, Qt::Key_Z, Qt::ControlModifier); });
  EXPECT_TRUE(window_.answer()->faults.empty());
}

TEST_F(Window, TextKeepsLineEndsAndTheCursor) {
  answered([&] { window_.open(file("dos.toml", "# \u00a0\r\n[workload]\r\nisl = 3000\r\nosl = 500\r\n")); });
  auto* source = window_.findChild<SourceView*>();
  source->moveCursor(QTextCursor::End);
  source->insertPlainText(QStringLiteral("# x"));
  EXPECT_EQ(window_.document().text(), "# \u00a0\r\n[workload]\r\nisl = 3000\r\nosl = 500\r\n# x");
  const int at = source->textCursor().position();
  window_.document().set("workload.isl", "4000", QStringLiteral("Input tokens"));
  EXPECT_EQ(source->textCursor().position(), at);
  EXPECT_TRUE(source->toPlainText().contains(QStringLiteral("isl = 4000")));
}

TEST_F(Window, WalkingThroughTheOperatorsShowsTheirDetails) {
  answered([] {});
  auto* table = window_.findChild<TableView*>(QStringLiteral("operators_table"));
  window_.views().dock(QStringLiteral("operators"))->raise();
  QTest::qWait(20);
  auto* lines = table->findChild<QAbstractItemView*>(QStringLiteral("table"));
  for (int row : {2, 3, 4}) {
    lines->setCurrentIndex(lines->model()->index(row, 0));
    EXPECT_FALSE(table->visibleRegion().isEmpty());
  }
  EXPECT_TRUE(window_.findChild<QTextBrowser*>()->toPlainText().contains(QStringLiteral("time_total")));
}

TEST_F(Window, EveryViewIsReachedByKeyboard) {
  answered([] {});
  for (auto* a : actions_of(*window_.menuBar())) {
    if (!full_name(*a).startsWith(QStringLiteral("Show: "))) continue;
    a->trigger();
    QTest::qWait(1);
    const auto docks = window_.views().docks();
    const auto shown = std::ranges::find_if(docks, [&](const QDockWidget* d) { return d->windowTitle() == a->text(); });
    ASSERT_NE(shown, docks.end());
    EXPECT_FALSE((*shown)->visibleRegion().isEmpty()) << a->text().toStdString();
  }
}

TEST_F(Window, AProblemWithoutALineLeadsToItsField) {
  answered([&] { window_.open(file("s.toml", "[decode]\nbatch = 100000\n")); });
  auto* list = window_.findChild<ProblemsView*>();
  ASSERT_EQ(list->count(), 1);
  Q_EMIT list->itemActivated(list->item(0));
  ASSERT_TRUE(window_.focusWidget());
  EXPECT_EQ(window_.focusWidget()->objectName(), QStringLiteral("decode.batch"));
}

TEST_F(Window, UndoWorksFromAFieldWithoutTyping) {
  answered([&] { window_.document().set("workload.isl", "3001", QStringLiteral("Input tokens")); });
  QApplication::setActiveWindow(&window_);  // a display without a window manager activates none
  window_.views().show(QStringLiteral("scenario"));
  ASSERT_TRUE(qobject_cast<QLineEdit*>(window_.focusWidget()));
  answered([&] { QTest::keyClick(window_.focusWidget(), Qt::Key_Z, Qt::ControlModifier); });
  EXPECT_FALSE(window_.document().modified());
}

TEST_F(Window, ComparedScenariosBearTheirDifference) {
  answered([&] { window_.open(file("s.toml", "[workload]\nisl = 3000\n")); });
  window_.views().add_to_comparison(QStringLiteral("s.toml"));
  answered([&] { window_.document().set("decode.batch", "32", QStringLiteral("Batch")); });
  window_.views().add_to_comparison(QStringLiteral("s.toml"));
  const auto* model = window_.findChild<TableView*>(QStringLiteral("comparison_table"))->findChild<QAbstractItemView*>(QStringLiteral("table"))->model();
  QStringList names;
  for (int c = 0; c < model->columnCount(); ++c) names << model->headerData(c, Qt::Horizontal).toString();
  EXPECT_TRUE(names.contains(QStringLiteral("s.toml")) && names.contains(QStringLiteral("decode.batch = 32"))) << names.join(u'|').toStdString();
}

TEST_F(Window, ACommandIsFoundByPartsOfItsName) {
  const auto actions = actions_of(*window_.menuBar());
  QStringList found;
  for (auto* a : actions)
    if (matches(QStringLiteral("rep exp"), full_name(*a))) found.push_back(full_name(*a));
  EXPECT_EQ(found, QStringList{QStringLiteral("File: Export report")});
  EXPECT_FALSE(matches(QStringLiteral("rep xyz"), found.front()));
}

}  // namespace
}  // namespace fathom::gui
