// The answer before anything else: one sentence, then the main figures.
#pragma once

#include <QFrame>
#include <QLabel>

#include <vector>

#include "gui/models/key_figures.h"

namespace fathom::gui {

// One figure. A click or Enter asks for its formula; hovering shows it.
class FigureTile : public QFrame {
  Q_OBJECT

 public:
  explicit FigureTile(QWidget* parent = nullptr);
  void show_figure(const KeyFigure& figure, const QString& explanation);

 Q_SIGNALS:
  void asked(const QString& key);

 protected:
  bool event(QEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  void paintEvent(QPaintEvent* event) override;

 private:
  QString key_;
  QLabel value_, label_, source_;
};

class AnswerPanel : public QWidget {
  Q_OBJECT

 public:
  explicit AnswerPanel(QWidget* parent = nullptr);
  void show_answer(const SharedAnswer& answer);
  void show_busy(bool busy);  // an answer is on its way: what stands here is of the scenario before

 Q_SIGNALS:
  void asked(const QString& key);  // for the explanation of a figure

 protected:
  void resizeEvent(QResizeEvent* event) override;
  void changeEvent(QEvent* event) override;

 private:
  void arrange();
  void colour();

  QLabel sentence_;
  QFrame accent_;
  QWidget area_;
  std::vector<FigureTile*> tiles_;
  bool feasible_ = true;
  int columns_ = 0;
};

}  // namespace fathom::gui
