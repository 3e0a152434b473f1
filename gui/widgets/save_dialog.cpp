#include "gui/widgets/save_dialog.h"

#include <QFileDialog>
#include <QRegularExpression>

namespace fathom::gui {
namespace {

// "png" of "PNG picture (*.png)".
QString suffix_of(const QString& kind) { return kind.section(QStringLiteral("*."), 1).section(u')', 0, 0).section(u' ', 0, 0); }

QString plain(QString name) {
  static const QRegularExpression odd(QStringLiteral("[^\\w./-]+"));
  return name.replace(odd, QStringLiteral("_"));
}

}  // namespace

QString ask_where_to_save(QWidget* parent, const QString& title, const QString& name, const QStringList& kinds) {
  QFileDialog dialog(parent, title);
  dialog.setObjectName(QStringLiteral("save_dialog"));
  dialog.setAcceptMode(QFileDialog::AcceptSave);
  dialog.setNameFilters(kinds);
  dialog.setDefaultSuffix(suffix_of(kinds.front()));
  dialog.selectFile(plain(name));
  QObject::connect(&dialog, &QFileDialog::filterSelected, &dialog, [&dialog](const QString& kind) { dialog.setDefaultSuffix(suffix_of(kind)); });
  return dialog.exec() == QDialog::Accepted && !dialog.selectedFiles().isEmpty() ? dialog.selectedFiles().front() : QString();
}

}  // namespace fathom::gui
