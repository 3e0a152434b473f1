#include "gui/widgets/source_view.h"

#include <QFontDatabase>
#include <QTextBlock>

#include <algorithm>

#include "gui/widgets/palette.h"
#include "gui/widgets/undo_keys.h"

namespace fathom::gui {
namespace {

constexpr int line_role = Qt::UserRole, key_role = Qt::UserRole + 1;

}  // namespace

SourceView::SourceView(Document& document, QWidget* parent) : QPlainTextEdit(parent), document_(document) {
  setObjectName(QStringLiteral("source"));
  setAccessibleName(QStringLiteral("Scenario as text"));
  setFont(QFontDatabase::systemFont(QFontDatabase::FixedFont));
  setLineWrapMode(QPlainTextEdit::NoWrap);
  setPlaceholderText(QStringLiteral("# Empty: the built-in scenario\nsystem = \"h800_sxm\"\n\n[workload]\nisl = 4000"));
  setAcceptDrops(false);      // files are the window's
  setUndoRedoEnabled(false);  // the document's own undo holds for text and fields alike
  connect(&document_, &Document::text_changed, this, &SourceView::take_text);
  connect(this, &QPlainTextEdit::textChanged, this, [this] { document_.replace_text(typed_text(), QStringLiteral("Edit text")); });
  take_text();
}

bool SourceView::event(QEvent* event) { return leaves_undo(*event) || QPlainTextEdit::event(event); }

void SourceView::keyPressEvent(QKeyEvent* event) {
  if (is_undo(*event)) event->ignore();
  else QPlainTextEdit::keyPressEvent(event);
}

// toPlainText() would make other spaces of some; line ends are those of the file.
std::string SourceView::typed_text() const {
  auto text = QPlainTextEdit::document()->toRawText().replace(QChar::ParagraphSeparator, u'\n');
  if (document_.text().find("\r\n") != std::string::npos) text.replace(u'\n', QStringLiteral("\r\n"));
  return text.toStdString();
}

// Only what differs is replaced, so that cursor and scroll bars stay.
void SourceView::take_text() {
  if (document_.text() == typed_text()) return;
  const auto now = QPlainTextEdit::document()->toRawText().replace(QChar::ParagraphSeparator, u'\n');
  const auto next = QString::fromStdString(document_.text()).replace(QStringLiteral("\r\n"), QStringLiteral("\n"));
  const auto shorter = std::min(now.size(), next.size());
  const auto same = std::mismatch(now.begin(), now.begin() + shorter, next.begin()).first - now.begin();
  const auto most = shorter - same;
  const auto tail = std::mismatch(now.rbegin(), now.rbegin() + most, next.rbegin()).first - now.rbegin();
  const QSignalBlocker blocker(this);
  QTextCursor cursor(QPlainTextEdit::document());
  cursor.setPosition(static_cast<int>(same));
  cursor.setPosition(static_cast<int>(now.size() - tail), QTextCursor::KeepAnchor);
  cursor.insertText(next.mid(same, next.size() - same - tail));
}

void SourceView::show_answer(const SharedAnswer& answer) {
  answer_ = answer;
  mark_faults();
}

void SourceView::mark_faults() {
  QList<QTextEdit::ExtraSelection> marks;
  auto ground = series_colour(5, is_dark(palette()));
  ground.setAlphaF(0.25F);
  for (const auto& fault : answer_->faults) {
    const auto block = QPlainTextEdit::document()->findBlockByNumber(fault.line - 1);
    if (fault.line < 1 || !block.isValid()) continue;
    QTextEdit::ExtraSelection mark;
    mark.cursor = QTextCursor(block);
    mark.format.setBackground(ground);
    mark.format.setProperty(QTextFormat::FullWidthSelection, true);
    marks.push_back(mark);
  }
  setExtraSelections(marks);
}

void SourceView::go_to(int line) {
  const auto block = QPlainTextEdit::document()->findBlockByNumber(line - 1);
  if (!block.isValid()) return;
  setTextCursor(QTextCursor(block));
  centerCursor();
  setFocus();
}

ProblemsView::ProblemsView(QWidget* parent) : QListWidget(parent) {
  setObjectName(QStringLiteral("problems"));
  setAccessibleName(QStringLiteral("Problems"));
  setWordWrap(true);
  connect(this, &QListWidget::itemActivated, this, [this](const QListWidgetItem* item) {
    if (const int line = item->data(line_role).toInt(); line > 0) Q_EMIT line_chosen(line);
    else Q_EMIT key_chosen(item->data(key_role).toString());
  });
}

int ProblemsView::show_answer(const SharedAnswer& answer) {
  clear();
  const auto add = [this](const std::string& text, int line, const std::string& key) {
    auto* item = new QListWidgetItem(QString::fromStdString(text), this);
    item->setData(line_role, line);
    item->setData(key_role, QString::fromStdString(key));
  };
  for (const auto& fault : answer->faults) add(line_of(fault), fault.line, fault.key);
  if (answer->estimate)
    for (const auto p : {PhaseName::prefill, PhaseName::decode}) {
      const std::string phase(name_of(p));
      const auto& reason = answer->estimated(p).reason;
      if (!reason.empty()) add(phase + ": " + reason, 0, phase + ".batch");
    }
  const int problems = count();
  if (problems == 0) (new QListWidgetItem(QStringLiteral("None"), this))->setFlags(Qt::NoItemFlags);
  return problems;
}

}  // namespace fathom::gui
