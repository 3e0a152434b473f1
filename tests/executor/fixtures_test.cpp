// The model against transformers' reference outputs (tests/fixtures), in exact arithmetic.
#include <algorithm>

#include "tests/executor/fixture.h"

namespace fathom::executor {
namespace {

// Independent float32 evaluations agree to 4e-6 of a tensor's largest magnitude; a wrong RMSNorm epsilon shows at 1.1e-5 (tests/fixtures/README.md).
constexpr double tolerance = 1e-5;

// The rows that `name` has in both, the last ones of each.
void expect_near(const Tensors& got, const Tensors& expected, const std::string& name) {
  auto wanted = expected.at(name);
  const auto plain = name.substr(0, name.find(".last"));
  const auto& have = got.at(got.has(name) ? name : plain);
  ASSERT_EQ(have.shape.back(), wanted.shape.back()) << name;
  ASSERT_GE(have.numbers.size(), wanted.numbers.size()) << name;
  const auto last = std::span(have.numbers).last(wanted.numbers.size());
  EXPECT_LE(relative_error(last, wanted.numbers), tolerance) << name;
}

void expect_tensors(const Fixture& f, const RunOptions& o) {
  const Tensors got(run(o).dump);
  int compared = 0;
  for (const auto& [name, values] : f.expected.all()) {
    const bool other_hidden = name.ends_with(o.policy.mtp_normed_hidden ? "_from_unnormed_hidden" : "_from_normed_hidden");
    const bool numbers = name.find("logits") != std::string::npos || name.find("hidden") != std::string::npos || name.find("attn_out") != std::string::npos ||
                         name.find("index_scores") != std::string::npos;
    if (!numbers || name.find("topk") != std::string::npos || name.find("expert") != std::string::npos || other_hidden) continue;
    if (name.starts_with("mtp.") && o.policy.mtp_depth == 0) continue;
    expect_near(got, f.expected, name);
    ++compared;
  }
  EXPECT_GE(compared, 3 * num_hidden_layers(f.model) / 2);
}

TEST(Fixtures, V32Fp32) {
  const Fixture f("v32-fp32");
  expect_tensors(f, f.options());
}

TEST(Fixtures, V3DenseYarn) {
  const Fixture f("v3-dense-yarn");
  expect_tensors(f, f.options());
}

TEST(Fixtures, V32YarnFp8Mtp) {
  const Fixture f("v32-yarn-fp8-mtp");
  auto o = f.options();
  o.policy.mtp_depth = 1;
  expect_tensors(f, o);
  o.policy.mtp_normed_hidden = false;
  expect_tensors(f, o);
}

TEST(Fixtures, V32RealHeadsBf16) {
  const Fixture f("v32-real-heads-bf16");
  expect_tensors(f, f.options());
}

}  // namespace
}  // namespace fathom::executor
