// The application object that widgets need; everything else is GoogleTest's.
#include <gtest/gtest.h>

#include <QApplication>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  QApplication app(argc, argv);
  QApplication::setStyle("Fusion");
  return RUN_ALL_TESTS();
}
