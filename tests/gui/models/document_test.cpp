#include "gui/models/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <QFile>
#include <QTemporaryDir>
#include <csignal>

#include "model_spec/error.h"

namespace fathom::gui {
namespace {

using model_spec::Error;

constexpr auto what = "edit";

void put(const QString& path, const QByteArray& bytes) {
  QFile file(path);
  ASSERT_TRUE(file.open(QIODevice::WriteOnly));
  file.write(bytes);
}

QByteArray bytes_of(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray("<none>");
}

std::string failure(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), model_spec::Failure::io);
    return e.what();
  }
  return "";
}

struct Counter {
  explicit Counter(Document& d) {
    QObject::connect(&d, &Document::text_changed, [this] { ++text; });
    QObject::connect(&d, &Document::file_changed, [this] { ++file; });
  }
  int text = 0, file = 0;
};

TEST(Document, SettingKeepsAllElse) {
  Document d;
  d.start_new("# plan\r\n[workload] # of a day\r\nisl = 4000 # é\r\n");
  EXPECT_TRUE(d.set("workload.isl", "8000", what));
  EXPECT_TRUE(d.set("workload.osl", "10", what));
  EXPECT_EQ(d.text(), "# plan\r\n[workload] # of a day\r\nisl = 8000 # é\r\nosl = 10\r\n");
  EXPECT_TRUE(d.reset("workload.isl", what));
  EXPECT_EQ(d.text(), "# plan\r\n[workload] # of a day\r\nosl = 10\r\n");
}

TEST(Document, UndoAndRedoGiveTheTextBack) {
  Document d;
  Counter seen(d);
  d.set("workload.isl", "8000", "Input tokens");
  d.replace_text("# other\n", what);
  EXPECT_EQ(seen.text, 2);
  d.undo().undo();
  EXPECT_EQ(d.text(), "\n[workload]\nisl = 8000\n");
  EXPECT_EQ(d.undo().undoText(), "Input tokens");
  d.undo().undo();
  EXPECT_EQ(d.text(), "");
  d.undo().redo();
  d.undo().redo();
  EXPECT_EQ(d.text(), "# other\n");
}

TEST(Document, EditsOfOneKeyInARowAreOneStep) {
  Document d;
  for (const auto* literal : {"1", "12", "128"}) d.set("workload.isl", literal, what);
  d.set("workload.osl", "1", what);
  d.set("workload.isl", "1", what);
  EXPECT_EQ(d.undo().count(), 3);
  d.undo().setIndex(1);
  EXPECT_EQ(d.text(), "\n[workload]\nisl = 128\n");
  d.undo().undo();
  EXPECT_EQ(d.text(), "");
}

TEST(Document, AnEditThatComesBackIsNoEdit) {
  Document d;
  d.start_new("total_gpus = 0x10\n");
  EXPECT_TRUE(d.set("total_gpus", "16", what));
  EXPECT_TRUE(d.reset("workload.isl", what));
  d.replace_text(d.text(), what);
  EXPECT_EQ(d.undo().count(), 0);
  d.start_new("total_gpus = 16\n");
  d.set("total_gpus", "160", what);
  d.set("total_gpus", "16", what);
  EXPECT_EQ(d.undo().count(), 0);
  EXPECT_FALSE(d.modified());
}

TEST(Document, WhatCannotBeEditedStaysAsItIs) {
  Document d;
  for (const auto* text : {"isl = = 3\n", "workload = 3\n"}) {
    d.start_new(text);
    EXPECT_FALSE(d.set("workload.isl", "1", what));
    EXPECT_EQ(d.text(), text);
  }
  EXPECT_FALSE(d.set("workload", "1 2", what));
  d.start_new("[workload]\nisl = 1\n");
  EXPECT_FALSE(d.reset("workload", what));
  EXPECT_EQ(d.undo().count(), 0);
}

TEST(Document, AModelByNameGetsKeysWhenTheyAreSet) {
  Document d;
  d.start_new("model = \"deepseek-v3\" # ours\n");
  d.set("model.name", "\"deepseek-v3.2\"", what);
  EXPECT_EQ(d.text(), "model = \"deepseek-v3.2\" # ours\n");
  d.set("model.index_topk", "1024", what);
  EXPECT_EQ(d.text(), "model = { name = \"deepseek-v3.2\", index_topk = 1024 } # ours\n");
  d.undo().undo();
  d.reset("model.name", what);
  EXPECT_EQ(d.text(), "");
}

TEST(Document, SavingMakesItClean) {
  const QTemporaryDir dir;
  const auto path = dir.filePath("päth.toml");
  Document d;
  EXPECT_EQ(d.name(), "Untitled");
  d.set("total_gpus", "8", what);
  EXPECT_TRUE(d.modified());
  d.save(path);
  EXPECT_FALSE(d.modified());
  EXPECT_EQ(d.name(), "päth.toml");
  EXPECT_EQ(bytes_of(path), "total_gpus = 8\n");
  d.set("total_gpus", "16", what);  // not one step with the edit before: what was saved must come back
  EXPECT_TRUE(d.modified());
  d.undo().undo();
  EXPECT_FALSE(d.modified());
  EXPECT_EQ(d.text(), "total_gpus = 8\n");
}

TEST(Document, OpensBytesAsTheyAre) {
  const QTemporaryDir dir;
  const auto path = dir.filePath("a.toml");
  put(path, "# \xC3\xA9\r\ntotal_gpus = 8\r\n");
  Document d;
  d.set("total_gpus", "1", what);
  Counter seen(d);
  d.open(path);
  EXPECT_EQ(d.text(), "# \xC3\xA9\r\ntotal_gpus = 8\r\n");
  EXPECT_FALSE(d.modified());
  EXPECT_FALSE(d.undo().canUndo());
  EXPECT_EQ(seen.text, 1);
  EXPECT_GE(seen.file, 1);
}

TEST(Document, AFileThatCannotBeOpenedChangesNothing) {
  const QTemporaryDir dir;
  const auto huge = dir.filePath("huge.toml");
  put(huge, {});
  QFile::resize(huge, 20 << 20);
  Document d;
  d.start_new("total_gpus = 8\n");
  d.set("total_gpus", "9", what);
  EXPECT_THAT(failure([&] { d.open(dir.filePath("none.toml")); }), testing::HasSubstr("none.toml"));
  EXPECT_THAT(failure([&] { d.open(huge); }), testing::HasSubstr("too large"));
  EXPECT_EQ(d.text(), "total_gpus = 9\n");
  EXPECT_EQ(d.path(), "");
  EXPECT_TRUE(d.undo().canUndo());
}

// A disk that is full after `bytes` of a file.
struct SmallDisk {
  explicit SmallDisk(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{bytes, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallDisk() {
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
  }
  rlimit before{};
  void (*handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
};

TEST(Document, ASaveThatFailsLosesNothing) {
  const QTemporaryDir dir;
  const auto path = dir.filePath("a.toml");
  Document d;
  d.start_new("total_gpus = 8\n");
  d.save(path);
  d.replace_text("# " + std::string(100'000, 'x') + "\n", what);
  {
    const SmallDisk full(4096);
    EXPECT_THAT(failure([&] { d.save(path); }), testing::HasSubstr("a.toml: cannot be saved: "));
  }
  EXPECT_THAT(failure([&] { d.save(dir.filePath("none/b.toml")); }), testing::HasSubstr("b.toml: cannot be saved: "));
  EXPECT_EQ(bytes_of(path), "total_gpus = 8\n");
  EXPECT_EQ(QDir(dir.path()).entryList(QDir::Files), QStringList{"a.toml"});
  EXPECT_EQ(d.path(), path);
  EXPECT_TRUE(d.modified());
  EXPECT_FALSE(d.changed_on_disk());
}

TEST(Document, SeesThatItsFileChanged) {
  const QTemporaryDir dir;
  const auto path = dir.filePath("a.toml");
  Document d;
  EXPECT_FALSE(d.changed_on_disk());
  d.save(path);
  d.set("total_gpus", "8", what);
  EXPECT_FALSE(d.changed_on_disk());
  put(path, "# other\n");
  EXPECT_TRUE(d.changed_on_disk());
  d.open(path);
  EXPECT_FALSE(d.changed_on_disk());
  QFile::remove(path);
  EXPECT_TRUE(d.changed_on_disk());  // gone
  d.keep_mine();
  EXPECT_FALSE(d.changed_on_disk());
  EXPECT_TRUE(d.modified());
}

TEST(Document, ARecoveredTextIsNotSaved) {
  const QTemporaryDir dir;
  const auto path = dir.filePath("a.toml");
  put(path, "total_gpus = 8\n");
  Document d;
  d.recover("total_gpus = 9\n", path);
  EXPECT_TRUE(d.modified());
  EXPECT_FALSE(d.changed_on_disk());
  EXPECT_EQ(d.name(), "a.toml");
  d.save(path);
  EXPECT_FALSE(d.modified());
  d.recover("total_gpus = 9\n", dir.filePath("none.toml"));
  EXPECT_TRUE(d.modified());
}

}  // namespace
}  // namespace fathom::gui
