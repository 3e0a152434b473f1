// Where one field is typed or chosen. What is typed goes out at every key that leaves a value; it is not overwritten while it is half done.
#pragma once

#include <QCheckBox>
#include <QComboBox>
#include <QToolButton>
#include <QWidget>

#include "gui/models/fields.h"
#include "gui/widgets/quantity_edit.h"

namespace fathom::gui {

// Of a frame around what is wrong, and of the message below it.
QColor fault_colour(const QPalette&);

class FieldEditor : public QWidget {
  Q_OBJECT

 public:
  explicit FieldEditor(const Field&, QWidget* parent = nullptr);

  struct Value {
    std::string literal;  // in force; empty: none
    bool set = false;     // by the document, so that it can be reset
    bool exists = true;   // else there is nothing to edit
    double whole = 1;     // of a share
    QString tip;
  };
  void show_value(const Value&);
  void show_fault(const QString& message);  // empty: none

  [[nodiscard]] const Field& field() const { return field_; }
  [[nodiscard]] QWidget* input() const { return input_; }
  [[nodiscard]] bool is_set() const { return value_.set; }
  // Why what is typed is no value, else the fault.
  [[nodiscard]] QString problem() const { return complaint_.isEmpty() ? fault_ : complaint_; }

 Q_SIGNALS:
  void committed(const std::string& literal);
  void reset_asked();
  void problem_changed();

 protected:
  bool eventFilter(QObject*, QEvent*) override;
  void changeEvent(QEvent*) override;
  void paintEvent(QPaintEvent*) override;

 private:
  void make_quantity();
  void make_choice();
  void make_switch();
  [[nodiscard]] std::string text() const;
  void typed();
  void finished();
  void abandon();
  void complain(const QString& complaint);
  void say(QString& problem, const QString& text);  // problem: fault_ or complaint_
  void show_text();
  void show_choice(const QString& text);
  void colour();

  Field field_;
  Value value_;
  QString fault_, complaint_;
  bool typing_ = false;
  QWidget* input_ = nullptr;
  QuantityEdit* quantity_ = nullptr;  // one of these three is the input
  QComboBox* choice_ = nullptr;
  QCheckBox* switch_ = nullptr;
  QToolButton* reset_;
};

}  // namespace fathom::gui
