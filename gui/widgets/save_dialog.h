// Where to write a file to.
#pragma once

#include <QString>
#include <QStringList>

class QWidget;

namespace fathom::gui {

// Asks for a path; "" if the user has thought better of it. kinds: "PNG picture (*.png)", the first one is offered; a name without suffix gets
// that of the chosen kind, and the question whether to replace a file is about the name that is written. name: what is proposed; characters
// that file names should not have become "_".
QString ask_where_to_save(QWidget* parent, const QString& title, const QString& name, const QStringList& kinds);

}  // namespace fathom::gui
