// fathom-gui [SCENARIO]: the desktop app; --screenshot DIR renders every view and ends.
#include <QApplication>
#include <QCommandLineParser>
#include <QFontInfo>
#include <QSettings>
#include <QTemporaryDir>

#include <cstdio>
#include <string_view>

#include "gui/widgets/main_window.h"
#include "gui/widgets/screenshot.h"
#include "model_spec/error.h"
#include "model_spec/version.h"

namespace {

using namespace fathom::gui;

constexpr int ok = 0, usage = 2, io = 4;

int refuse(int code, const char* why) {
  std::fprintf(stderr, "fathom-gui: %s\n", why);
  return code;
}

// Qt aborts where it finds no display, so we look first. Pictures need none.
bool has_display(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help" || word == "-h" || word == "--version" || word == "-v" || word.starts_with("--screenshot") || word.starts_with("--report")) {
      if (qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM")) qputenv("QT_QPA_PLATFORM", "offscreen");
      return true;
    }
    if (word.starts_with("-platform")) return true;
  }
  return !qEnvironmentVariableIsEmpty("DISPLAY") || !qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY") || !qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM");
}

std::optional<Theme> theme_from(const QString& word) {
  if (word == QStringLiteral("system")) return Theme::system;
  if (word == QStringLiteral("light")) return Theme::light;
  if (word == QStringLiteral("dark")) return Theme::dark;
  return std::nullopt;
}

std::optional<QSize> size_from(const QString& word) {
  const auto parts = word.split(u'x');
  const QSize size = parts.size() == 2 ? QSize(parts[0].toInt(), parts[1].toInt()) : QSize();
  return size.width() >= 640 && size.height() >= 480 ? std::optional(size) : std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  if (!has_display(argc, argv))
    return refuse(usage, "there is no display (DISPLAY and WAYLAND_DISPLAY are empty); the program fathom gives the same answers in a terminal");
  QApplication app(argc, argv);
  QApplication::setOrganizationName(QStringLiteral("fathom"));
  QApplication::setApplicationName(QStringLiteral("fathom-gui"));
  QApplication::setApplicationVersion(QString::fromUtf8(fathom::version().data(), static_cast<qsizetype>(fathom::version().size())));
  QApplication::setStyle(QStringLiteral("Fusion"));
  QSettings::setDefaultFormat(QSettings::IniFormat);

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
  parser.process(app);

  const auto wanted_theme = parser.isSet(theme) ? theme_from(parser.value(theme)) : static_cast<Theme>(QSettings().value(QStringLiteral("theme"), 0).toInt());
  const auto wanted_size = size_from(parser.value(size));
  const auto files = parser.positionalArguments();
  if (files.size() > 1) return refuse(usage, "one scenario at a time");
  if (!wanted_theme) return refuse(usage, "--theme: system, light or dark");
  if (!wanted_size) return refuse(usage, "--size: WxH, at least 640x480");
  if (QFontInfo(QFont()).family().isEmpty())  // Qt lists its three generic families all the same
    return refuse(usage, "no fonts are installed: install some, such as the package fonts-dejavu-core");
  QApplication::setPalette(palette_of(*wanted_theme));
  try {
    const bool writes = parser.isSet(screenshot) || parser.isSet(report);
    const QTemporaryDir clean;  // what is written shows no user's layout, theme or unsaved work
    if (writes) QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, clean.path());
    MainWindow window(writes ? clean.path() : QString());
    if (!files.isEmpty()) window.open(files.front());
    if (writes) {
      window.resize(*wanted_size);
      show_and_wait(window);
    }
    if (parser.isSet(screenshot)) take_screenshots(window, parser.value(screenshot));
    if (parser.isSet(report)) window.write_report(parser.value(report));
    if (writes) return ok;
    window.show();
    return QApplication::exec();
  } catch (const fathom::model_spec::Error& e) { return refuse(io, e.what()); }
}
