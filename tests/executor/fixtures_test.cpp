// The model against transformers' reference outputs (tests/fixtures), in exact arithmetic.
#include <cstdlib>
#include <set>

#include "tests/executor/fixture.h"

namespace fathom::executor {
namespace {

// Independent float32 evaluations agree to 4e-6 of a tensor's largest magnitude; a wrong RMSNorm epsilon shows at 1.1e-5 (tests/fixtures/README.md).
constexpr double tolerance = 1e-5;

// The last rows of what a run recorded, as many as the reference has of `name` (which may end in .lastN).
std::span<const float> recorded(const Tensors& got, const std::string& name, std::size_t count) {
  const auto plain = name.substr(0, name.find(".last"));
  for (const auto& [key, values] : got.all())
    if (key.substr(0, key.find(".last")) == plain && values.numbers.size() >= count) return std::span(values.numbers).last(count);
  return {};
}

bool holds_numbers(const std::string& name) {
  return name.find("logits") != std::string::npos || name.find("index_scores") != std::string::npos || name.find("attn_out") != std::string::npos ||
         (name.starts_with("layer.") && name.find(".hidden") != std::string::npos);
}
bool holds_choices(const std::string& name) {
  return (name.find("topk") != std::string::npos && name.find("bits") == std::string::npos) || name.find("expert_ids") != std::string::npos;
}

// Rows of choices as sets. In a row of top-k the reference fills up places with keys of the future; ours says -1.
std::vector<std::set<float>> sets(std::span<const float> values, std::size_t columns, bool keys, std::int64_t first_position) {
  std::vector<std::set<float>> rows;
  for (std::size_t r = 0; r * columns < values.size(); ++r) {
    auto& row = rows.emplace_back();
    for (const float v : values.subspan(r * columns, columns))
      if (!keys || (v >= 0 && v <= static_cast<float>(first_position + static_cast<std::int64_t>(r)))) row.insert(v);
  }
  return rows;
}

void expect_choices(const Fixture& f, std::span<const float> got, const std::string& name, const Values& expected) {
  const auto columns = static_cast<std::size_t>(expected.shape.back());
  const bool keys = name.find("topk") != std::string::npos;
  const auto first = name.starts_with("decode.")               ? static_cast<std::int64_t>(f.prompt.size())
                     : name.find(".last") == std::string::npos ? 0
                                                               : static_cast<std::int64_t>(f.prompt.size()) - expected.shape[0];
  EXPECT_EQ(sets(got, columns, keys, first), sets(expected.numbers, columns, keys, first)) << name;
}

// choices: compared too; in a run that takes the reference's they say nothing.
void expect_reference(const Fixture& f, const RunOptions& o, double bound, bool choices) {
  ASSERT_EQ(check(o), std::nullopt);
  const Tensors got(run(o).dump);
  int compared = 0;
  for (const auto& [name, values] : f.expected.all()) {
    const bool other_hidden = name.ends_with(o.policy.mtp_normed_hidden ? "_from_unnormed_hidden" : "_from_normed_hidden");
    if (other_hidden || (name.starts_with("mtp.") && o.policy.mtp_depth == 0)) continue;
    if (!holds_numbers(name) && !(choices && holds_choices(name))) continue;
    const auto have = recorded(got, name, values.numbers.size());
    ASSERT_EQ(have.size(), values.numbers.size()) << name;
    if (holds_choices(name)) expect_choices(f, have, name, values);
    else EXPECT_LE(relative_error(have, values.numbers), bound) << name;
    ++compared;
  }
  EXPECT_GE(compared, 2 * num_hidden_layers(f.model) + 2);
}

// Prefill with expanded and with absorbed attention.
void expect_both_modes(const Fixture& f, RunOptions o) {
  for (const auto attention : {PrefillAttention::mha, PrefillAttention::mqa}) {
    o.policy.prefill_attention = attention;
    expect_reference(f, o, tolerance, true);
  }
}

TEST(Fixtures, V32Fp32) {
  const Fixture f("v32-fp32");
  expect_both_modes(f, f.options());
}

TEST(Fixtures, V3DenseYarn) {
  const Fixture f("v3-dense-yarn");
  expect_both_modes(f, f.options());
}

TEST(Fixtures, V32YarnFp8Mtp) {
  const Fixture f("v32-yarn-fp8-mtp");
  auto o = f.options();
  o.policy.mtp_depth = 1;
  expect_both_modes(f, o);
  o.policy.mtp_normed_hidden = false;
  expect_reference(f, o, tolerance, true);
}

// It has near ties: the choices are the reference's.
TEST(Fixtures, V32RealHeadsBf16) {
  const Fixture f("v32-real-heads-bf16");
  auto o = f.options();
  o.dump_rows = 16;
  o.force = f.folder / "expected.safetensors";
  for (const auto attention : {PrefillAttention::mha, PrefillAttention::mqa}) {
    o.policy.prefill_attention = attention;
    expect_reference(f, o, tolerance, false);
  }
}

// Takes 8 GB and some minutes: only with FATHOM_FULL_WIDTH=1. Sums run over up to 18432 numbers: other float32 evaluations agree to 2e-5.
TEST(Fixtures, V32FullWidthFp8) {
  if (!std::getenv("FATHOM_FULL_WIDTH")) GTEST_SKIP() << "needs 8 GB and minutes: set FATHOM_FULL_WIDTH=1";
  const Fixture f("v32-full-width-fp8");
  auto o = f.options();
  o.dump_rows = 16;
  o.force = f.folder / "expected.safetensors";
  expect_reference(f, o, 1e-4, false);
}

}  // namespace
}  // namespace fathom::executor
