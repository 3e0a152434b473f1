#include "gui/models/file.h"

#include <gmock/gmock.h>

#include <QDir>
#include <QTemporaryDir>

#include "model_spec/error.h"

namespace fathom::gui {
namespace {

TEST(WriteFile, AFailureNamesTheFileAndLeavesTheOldOne) {
  const QTemporaryDir folder;
  const auto path = folder.filePath(QStringLiteral("none/x.toml"));
  try {
    write_file(path, "text");
    FAIL();
  } catch (const model_spec::Error& e) { EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("none/x.toml"), testing::HasSubstr("cannot be saved"))); }
  EXPECT_FALSE(QDir(folder.filePath(QStringLiteral("none"))).exists());
}

}  // namespace
}  // namespace fathom::gui
