#include "gui/models/document.h"

#include <gmock/gmock.h>

#include <QFile>
#include <QTemporaryDir>

#include "gui/models/session.h"
#include "model_spec/error.h"

namespace fathom::gui {
namespace {

const auto what = QStringLiteral("Input tokens");

std::string bytes_of(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? file.readAll().toStdString() : "no file";
}

TEST(Document, EditsKeepCommentsAndOrder) {
  Document d;
  d.start_new("# mine\n[workload]\nisl = 3000 # in\nosl = 10\n");
  EXPECT_TRUE(d.set("workload.isl", "5000", what));
  EXPECT_EQ(d.text(), "# mine\n[workload]\nisl = 5000 # in\nosl = 10\n");
  EXPECT_TRUE(d.set("system", "\"h200_sxm\"", what));
  EXPECT_THAT(d.text(), testing::HasSubstr("system = \"h200_sxm\""));
  EXPECT_TRUE(d.reset("workload.isl", what));
  EXPECT_THAT(d.text(), testing::Not(testing::HasSubstr("isl")));
}

TEST(Document, EditsOfOneKeyAreOneStep) {
  Document d;
  d.start_new("[workload]\nisl = 3000\n");
  for (const char* typed : {"5", "50", "500"}) d.set("workload.isl", typed, what);
  d.set("workload.osl", "7", what);
  EXPECT_EQ(d.undo().count(), 2);
  d.undo().undo();
  d.undo().undo();
  EXPECT_EQ(d.text(), "[workload]\nisl = 3000\n");
  EXPECT_FALSE(d.modified());
}

TEST(Document, AnEditThatChangesNothingIsNone) {
  Document d;
  d.start_new("[workload]\nisl = 3000\n");
  d.set("workload.isl", "3000", what);
  EXPECT_EQ(d.undo().count(), 0);
  EXPECT_TRUE(d.reset("workload.osl", what));
  EXPECT_EQ(d.undo().count(), 0);
}

TEST(Document, ATextThatDoesNotParseStays) {
  Document d;
  d.start_new("[workload\n");
  EXPECT_FALSE(d.set("workload.isl", "3000", what));
  EXPECT_EQ(d.text(), "[workload\n");
}

TEST(Document, SavedIsCleanAndEditsDoNotMergeAcrossASave) {
  const QTemporaryDir folder;
  const auto path = folder.filePath(QStringLiteral("s.toml"));
  Document d;
  d.start_new();
  d.set("workload.isl", "1", what);
  d.save(path);
  EXPECT_FALSE(d.modified());
  EXPECT_EQ(d.name(), QStringLiteral("s.toml"));
  d.set("workload.isl", "2", what);
  EXPECT_TRUE(d.modified());
  d.undo().undo();
  EXPECT_FALSE(d.modified());
  EXPECT_EQ(bytes_of(path), d.text());
}

TEST(Document, AFailedSaveLosesNothing) {
  const QTemporaryDir folder;
  Document d;
  d.start_new();
  d.set("workload.isl", "1", what);
  EXPECT_THROW(d.save(folder.filePath(QStringLiteral("none/s.toml"))), model_spec::Error);
  EXPECT_TRUE(d.modified());
  EXPECT_EQ(d.path(), QString());
  EXPECT_THROW(d.open(folder.filePath(QStringLiteral("none.toml"))), model_spec::Error);
  EXPECT_THAT(d.text(), testing::HasSubstr("isl = 1"));
}

TEST(Document, ChangesOnDiskAreSeen) {
  const QTemporaryDir folder;
  const auto path = folder.filePath(QStringLiteral("s.toml"));
  write_file(path, "[workload]\nisl = 1\n");
  Document d;
  d.open(path);
  EXPECT_FALSE(d.changed_on_disk());
  write_file(path, "[workload]\nisl = 2\n");
  EXPECT_TRUE(d.changed_on_disk());
  d.save(path);
  EXPECT_FALSE(d.changed_on_disk());
  QFile::remove(path);
  EXPECT_TRUE(d.changed_on_disk());
}

TEST(Document, WhatIsRecoveredIsNotSaved) {
  Document d;
  d.recover("[workload]\nisl = 1\n", QStringLiteral("/none/s.toml"));
  EXPECT_TRUE(d.modified());
  EXPECT_EQ(d.name(), QStringLiteral("s.toml"));
  EXPECT_EQ(d.text(), "[workload]\nisl = 1\n");
}

}  // namespace
}  // namespace fathom::gui
