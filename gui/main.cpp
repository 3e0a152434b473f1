// fathom-gui [SCENARIO]: the desktop app; --screenshot DIR and --report FILE write and end.
#include <QApplication>
#include <QCommandLineParser>
#include <QFileInfo>
#include <QFontInfo>
#include <QSettings>
#include <QTemporaryDir>

#include <cstdio>
#include <memory>
#include <string_view>

#include "gui/widgets/main_window.h"
#include "gui/widgets/screenshot.h"
#include "model_spec/error.h"
#include "model_spec/version.h"

namespace {

using namespace fathom::gui;
using fathom::model_spec::Error;
using fathom::model_spec::Failure;

// Exit codes are those of the command line.
int exit_for(Failure failure) {
  constexpr int usage = 2, bad_file = 3, io = 4;
  return failure == Failure::usage ? usage : failure == Failure::bad_file ? bad_file : io;
}

[[noreturn]] void refuse(const char* why) { throw Error(Failure::usage, why); }

// Qt aborts where it finds no display, so we look first. What is written needs none.
void require_display(int argc, char** argv) {
  const auto set = [](const char* variable) { return !qEnvironmentVariableIsEmpty(variable); };
  if (set("QT_QPA_PLATFORM")) return;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("-platform")) return;
    if (word == "--help" || word == "-h" || word == "--version" || word == "-v" || word.starts_with("--screenshot") || word.starts_with("--report")) {
      qputenv("QT_QPA_PLATFORM", "offscreen");
      return;
    }
  }
  if (!set("DISPLAY") && !set("WAYLAND_DISPLAY"))
    refuse("there is no display (DISPLAY and WAYLAND_DISPLAY are empty); the program fathom gives the same answers in a terminal");
}

struct Wishes {
  QString scenario, screenshots, report;  // empty: none
  Theme theme = Theme::system;
  QSize size;
  [[nodiscard]] bool only_writes() const { return !screenshots.isEmpty() || !report.isEmpty(); }
};

Theme theme_from(const QString& word) {
  if (word == QStringLiteral("system")) return Theme::system;
  if (word == QStringLiteral("light")) return Theme::light;
  if (word == QStringLiteral("dark")) return Theme::dark;
  refuse("--theme: system, light or dark");
}

QSize size_from(const QString& word) {
  const auto parts = word.split(u'x');
  const QSize size = parts.size() == 2 ? QSize(parts[0].toInt(), parts[1].toInt()) : QSize();
  if (size.width() < 640 || size.height() < 480) refuse("--size: WxH, at least 640x480");
  return size;
}

Wishes wishes(const QApplication& app) {
  QCommandLineParser parser;
  parser.setApplicationDescription(QStringLiteral("What serving DeepSeek-V3.2-class models costs, how fast it is and where it fits."));
  parser.addHelpOption();
  parser.addVersionOption();
  parser.addPositionalArgument(QStringLiteral("SCENARIO"), QStringLiteral("a scenario (TOML), a model spec (TOML) or a Hugging Face config.json"),
                               QStringLiteral("[SCENARIO]"));
  const QCommandLineOption screenshot(QStringLiteral("screenshot"), QStringLiteral("Write a picture of the window and of each view to DIR, and end."),
                                      QStringLiteral("DIR"));
  const QCommandLineOption report(QStringLiteral("report"), QStringLiteral("Write the report (.pdf, .html, .md, .csv, .json) to FILE, and end."),
                                  QStringLiteral("FILE"));
  const QCommandLineOption theme(QStringLiteral("theme"), QStringLiteral("system, light or dark."), QStringLiteral("THEME"));
  const QCommandLineOption size(QStringLiteral("size"), QStringLiteral("Size of the window for --screenshot."), QStringLiteral("WxH"),
                                QStringLiteral("1280x800"));
  parser.addOptions({screenshot, report, theme, size});
  if (!parser.parse(QApplication::arguments())) refuse(parser.errorText().toUtf8().constData());
  parser.process(app);  // help and version
  const auto files = parser.positionalArguments();
  if (files.size() > 1) refuse("one scenario at a time");
  Wishes w{.scenario = files.value(0), .screenshots = parser.value(screenshot), .report = parser.value(report), .size = size_from(parser.value(size))};
  if (parser.isSet(theme)) w.theme = theme_from(parser.value(theme));
  else if (!w.only_writes()) w.theme = static_cast<Theme>(QSettings().value(QStringLiteral("theme"), 0).toInt());
  return w;
}

// What is written shows no user's layout or unsaved work, and asks nothing.
int write(const Wishes& w) {
  const QTemporaryDir clean;
  QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, clean.path());
  MainWindow window(clean.path());
  if (!w.scenario.isEmpty()) window.load(w.scenario);
  window.resize(w.size);
  if (!w.screenshots.isEmpty()) window.show();
  wait_for_answer(window);
  if (!w.screenshots.isEmpty()) take_screenshots(window, w.screenshots);
  if (!w.report.isEmpty()) window.write_report(w.report);
  return 0;
}

int run(int argc, char** argv) {
  require_display(argc, argv);
  QApplication app(argc, argv);
  QApplication::setOrganizationName(QStringLiteral("fathom"));
  QApplication::setApplicationName(QStringLiteral("fathom-gui"));
  QApplication::setApplicationVersion(QString::fromUtf8(fathom::version().data(), static_cast<qsizetype>(fathom::version().size())));
  QApplication::setStyle(QStringLiteral("Fusion"));
  QSettings::setDefaultFormat(QSettings::IniFormat);
  const auto w = wishes(app);
  if (QFontInfo(QFont()).family().isEmpty())  // Qt lists its three generic families all the same
    refuse("no fonts are installed: install some, such as the package fonts-dejavu-core");
  QApplication::setPalette(palette_of(w.theme));
  if (w.only_writes()) return write(w);
  MainWindow window;
  window.show();
  window.offer_recovery();
  if (!w.scenario.isEmpty()) window.open(w.scenario);
  return QApplication::exec();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    std::fprintf(stderr, "fathom-gui: %s\n", e.what());
    return exit_for(e.failure());
  }
}
