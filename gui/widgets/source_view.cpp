#include "gui/widgets/source_view.h"

#include <QFontDatabase>
#include <QTextBlock>

#include "gui/widgets/palette.h"

namespace fathom::gui {

SourceView::SourceView(Document& document, QWidget* parent) : QPlainTextEdit(parent), document_(document) {
  setObjectName(QStringLiteral("source"));
  setAccessibleName(QStringLiteral("Scenario as text"));
  setFont(QFontDatabase::systemFont(QFontDatabase::FixedFont));
  setLineWrapMode(QPlainTextEdit::NoWrap);
  setPlaceholderText(QStringLiteral("# Empty: the built-in scenario\nsystem = \"h800_sxm\"\n\n[workload]\nisl = 4000"));
  setUndoRedoEnabled(false);  // the document's own undo holds for text and fields alike
  connect(&document_, &Document::text_changed, this, &SourceView::take_text);
  connect(this, &QPlainTextEdit::textChanged, this, [this] { document_.replace_text(toPlainText().toStdString(), QStringLiteral("Edit text")); });
  take_text();
}

void SourceView::take_text() {
  const auto text = QString::fromStdString(document_.text());
  if (text == toPlainText()) return;
  const QSignalBlocker blocker(this);
  setPlainText(text);
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
  setTextCursor(QTextCursor(QPlainTextEdit::document()->findBlockByNumber(line - 1)));
  centerCursor();
  setFocus();
}

ProblemsView::ProblemsView(QWidget* parent) : QListWidget(parent) {
  setObjectName(QStringLiteral("problems"));
  setAccessibleName(QStringLiteral("Problems"));
  setWordWrap(true);
  connect(this, &QListWidget::itemActivated, this, [this](const QListWidgetItem* item) {
    if (const int line = item->data(Qt::UserRole).toInt(); line > 0) Q_EMIT line_chosen(line);
  });
}

void ProblemsView::show_answer(const SharedAnswer& answer) {
  clear();
  for (const auto& fault : answer->faults) {
    auto* item = new QListWidgetItem(QString::fromStdString(line_of(fault)), this);
    item->setData(Qt::UserRole, fault.line);
  }
  if (!answer->estimate) return;
  for (const auto& [name, phase] : {std::pair{"prefill: ", &answer->estimate->prefill}, {"decode: ", &answer->estimate->decode}})
    if (!phase->reason.empty()) new QListWidgetItem(QString::fromStdString(name + phase->reason), this);
}

}  // namespace fathom::gui
