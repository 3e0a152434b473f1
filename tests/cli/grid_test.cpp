#include "cli/grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model_spec/error.h"

namespace fathom::cli {
namespace {

using namespace model_spec;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Le;

const ModelSpec& model() {
  static const auto m = find_model("deepseek-v3.2");
  return m;
}
std::vector<Group> grid(std::vector<std::string> terms) { return grid_of(terms, model()); }
std::string complaint(std::vector<std::string> terms) {
  try {
    grid(std::move(terms));
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::usage);
    return e.what();
  }
  return "";
}

TEST(Grid, EveryCombination) {
  EXPECT_THAT(grid({"sequences=1,32", "new=2", "cached=4k,32Ki"}), ElementsAre(Group{1, 2, 4000}, Group{1, 2, 32768}, Group{32, 2, 4000}, Group{32, 2, 32768}));
}

TEST(Grid, KeysThatAreNotGivenHaveOneValue) {
  EXPECT_THAT(grid({"sequences=7"}), ElementsAre(Group{7, 1, 4096}));
  EXPECT_THAT(grid({"cached=0"}), ElementsAre(Group{1, 1, 0}));
}

TEST(Grid, WithoutTermsDecodeAndPrompts) {
  const auto points = grid({});
  EXPECT_THAT(points, Contains(Group{128, 1, 131072}));
  EXPECT_THAT(points, Contains(Group{1, 4096, 0}));
  auto small = model();
  small.max_position_embeddings = 8192;
  EXPECT_THAT(grid_of({}, small), Each(Field(&Group::cached_tokens, Le(8191))));
  small.max_position_embeddings = 64;
  EXPECT_THAT(grid_of({}, small), ElementsAre(Group{1, 1, 63}));
}

TEST(Grid, Refusals) {
  EXPECT_THAT(complaint({"sequences=0"}), HasSubstr("--grid: sequences: 0 does not lie between 1 and"));
  EXPECT_THAT(complaint({"new=-1"}), HasSubstr("new: -1"));
  EXPECT_THAT(complaint({"cached="}), HasSubstr("cached: '' is not a whole number"));
  EXPECT_THAT(complaint({"cached=4k,,8k"}), HasSubstr("'' is not"));
  EXPECT_THAT(complaint({"cached=1.5"}), HasSubstr("'1.5' is not a whole number"));
  EXPECT_THAT(complaint({"sequence=1"}), HasSubstr("did you mean 'sequences'?"));
  EXPECT_THAT(complaint({"=1"}), HasSubstr("'' is none of"));
  EXPECT_THAT(complaint({"new"}), HasSubstr("'new' is not KEY=V1,V2"));
  EXPECT_THAT(complaint({"new=1", "new=2"}), HasSubstr("new stands twice"));
  EXPECT_THAT(complaint({"cached=163840"}), HasSubstr("163840 positions of deepseek-v3.2"));
}

}  // namespace
}  // namespace fathom::cli
