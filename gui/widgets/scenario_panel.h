// Every setting of the scenario as a field: what is in force, what the document sets, what is wrong. Edits go straight into the document.
#pragma once

#include <QLabel>
#include <QLineEdit>
#include <QScrollArea>
#include <QVBoxLayout>
#include <QWidget>
#include <functional>
#include <span>

#include "gui/models/document.h"
#include "gui/widgets/field_editor.h"
#include "gui/widgets/section.h"

namespace fathom::gui {

class ScenarioPanel : public QWidget {
  Q_OBJECT

 public:
  explicit ScenarioPanel(Document&, QWidget* parent = nullptr);
  void show_answer(const SharedAnswer&);
  void go_to(const std::string& key);  // puts the keyboard into the field of a setting, if there is one

  [[nodiscard]] QSize sizeHint() const override { return {360, 720}; }

 protected:
  void changeEvent(QEvent*) override;

 private:
  // A label and an editor, or one for each phase; below them what is wrong.
  struct Row {
    QLabel* label;
    std::vector<FieldEditor*> editors;
    QLabel* message;
  };
  struct Group {
    Section* section;
    QWidget* heads = nullptr;  // of the columns, if there are any
    std::vector<Row> rows{};
  };
  void add_groups(QVBoxLayout&);
  void add_row(Group&, std::span<const Field>);
  FieldEditor* make_editor(const Field&);
  void offer_files();

  void commit(const Field&, const std::string& literal);
  void reset(const Field&);
  void edit(const QString& what, const std::vector<std::string>& removed, const std::function<void()>& then);

  void read_document();
  void forget_old_text();
  void refresh();
  void arrange();
  void arrange(Group&);
  [[nodiscard]] const Setting* own(const std::string& key) const;  // in the document
  [[nodiscard]] const Setting* value_of(const Field&) const;       // in the document, or else in force
  [[nodiscard]] FieldEditor::Value shown(const Field&) const;
  [[nodiscard]] QString fault_of(const Field&) const;

  Document& document_;
  SharedAnswer answer_;
  std::vector<Setting> own_, in_force_;  // of the document's text; of the last answer without faults
  QLineEdit* search_;
  QLabel* notice_;  // why nothing can be edited
  QScrollArea* scroll_;
  std::vector<Group> groups_;
};

}  // namespace fathom::gui
