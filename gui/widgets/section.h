// A heading that opens and closes what is below it.
#pragma once

#include <QGridLayout>
#include <QToolButton>
#include <QWidget>

namespace fathom::gui {

class Section : public QWidget {
  Q_OBJECT

 public:
  explicit Section(const QString& title, QWidget* parent = nullptr);

  [[nodiscard]] QGridLayout& grid() { return *grid_; }
  void open() { head_->setChecked(true); }
  void set_forced_open(bool forced);  // while somebody searches
  void set_problems(int count);

 private:
  void arrange();

  QString title_;
  QToolButton* head_;
  QWidget* body_;
  QGridLayout* grid_;
  bool forced_ = false;
};

}  // namespace fathom::gui
