// The scenario as text, for those who would rather type, and what is wrong with it.
#pragma once

#include <QListWidget>
#include <QPlainTextEdit>

#include "gui/models/answer.h"
#include "gui/models/document.h"

namespace fathom::gui {

class SourceView : public QPlainTextEdit {
  Q_OBJECT

 public:
  explicit SourceView(Document& document, QWidget* parent = nullptr);
  void show_answer(const SharedAnswer& answer);  // marks the lines at fault
  void go_to(int line);                          // from 1

 protected:
  bool event(QEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;

 private:
  [[nodiscard]] std::string typed_text() const;
  void take_text();
  void mark_faults();

  Document& document_;
  SharedAnswer answer_;
};

class ProblemsView : public QListWidget {
  Q_OBJECT

 public:
  explicit ProblemsView(QWidget* parent = nullptr);
  int show_answer(const SharedAnswer& answer);  // how many there are

 Q_SIGNALS:
  void line_chosen(int line);
  void key_chosen(const QString& key);  // of a setting to change
};

}  // namespace fathom::gui
