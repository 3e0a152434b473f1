#include "gui/widgets/command_palette.h"

#include <QKeyEvent>
#include <QMenu>
#include <QTimer>
#include <QVBoxLayout>

#include <algorithm>

namespace fathom::gui {
namespace {

QString without_mnemonic(QString text) { return text.remove(u'&').remove(QStringLiteral("…")); }

void gather(const QList<QAction*>& from, QList<QAction*>& out) {
  for (auto* action : from) {
    if (action->menu()) gather(action->menu()->actions(), out);
    else if (!action->isSeparator() && action->isEnabled() && !action->text().isEmpty()) out.push_back(action);
  }
}

}  // namespace

bool matches(const QString& typed, const QString& text) {
  const auto words = typed.split(u' ', Qt::SkipEmptyParts);
  return std::ranges::all_of(words, [&](const QString& word) { return text.contains(word, Qt::CaseInsensitive); });
}

QList<QAction*> actions_of(const QWidget& menu_bar) {
  QList<QAction*> out;
  gather(menu_bar.actions(), out);
  return out;
}

QString full_name(const QAction& action) {
  const auto name = without_mnemonic(action.text());
  for (const auto* object : action.associatedObjects())
    if (const auto* menu = qobject_cast<const QMenu*>(object)) return without_mnemonic(menu->title()) + QStringLiteral(": ") + name;
  return name;
}

CommandPalette::CommandPalette(const QList<QAction*>& actions, QWidget* parent) : QDialog(parent, Qt::Popup | Qt::FramelessWindowHint), actions_(actions) {
  setObjectName(QStringLiteral("command_palette"));
  setWindowTitle(QStringLiteral("Commands"));
  resize(520, 360);
  auto* rows = new QVBoxLayout(this);
  rows->setContentsMargins(8, 8, 8, 8);
  typed_.setPlaceholderText(QStringLiteral("Type a command"));
  typed_.setAccessibleName(typed_.placeholderText());
  typed_.setObjectName(QStringLiteral("typed"));
  list_.setObjectName(QStringLiteral("commands"));
  list_.setAccessibleName(QStringLiteral("Commands"));
  list_.setFocusPolicy(Qt::NoFocus);
  rows->addWidget(&typed_);
  rows->addWidget(&list_);
  typed_.installEventFilter(this);
  connect(&typed_, &QLineEdit::textChanged, this, &CommandPalette::filter);
  connect(&typed_, &QLineEdit::returnPressed, this, &CommandPalette::choose);
  connect(&list_, &QListWidget::itemClicked, this, &CommandPalette::choose);
  filter();
  typed_.setFocus();
}

void CommandPalette::filter() {
  list_.clear();
  for (int i = 0; i < actions_.size(); ++i) {
    const auto name = full_name(*actions_[i]);
    if (!matches(typed_.text(), name)) continue;
    const auto keys = actions_[i]->shortcut().toString(QKeySequence::NativeText);
    auto* item = new QListWidgetItem(keys.isEmpty() ? name : QStringLiteral("%1    %2").arg(name, keys), &list_);
    item->setData(Qt::UserRole, i);
  }
  list_.setCurrentRow(0);
}

void CommandPalette::choose() {
  const auto* item = list_.currentItem();
  if (!item) return;
  auto* action = actions_[item->data(Qt::UserRole).toInt()];
  accept();
  QTimer::singleShot(0, action, &QAction::trigger);
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
  if (watched == &typed_ && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key(), step = key == Qt::Key_Down ? 1 : key == Qt::Key_Up ? -1 : 0;
    if (step != 0 && list_.count() > 0) list_.setCurrentRow((list_.currentRow() + step + list_.count()) % list_.count());
    if (step != 0) return true;
  }
  return QDialog::eventFilter(watched, event);
}

}  // namespace fathom::gui
