// The printed formula of every operator, read back and evaluated, is the cost.
#include "model_spec/formula.h"

#include <gtest/gtest.h>

#include <charconv>
#include <map>
#include <random>

#include "model_spec/op.h"

namespace fathom::model_spec {
namespace {

using I = std::int64_t;
using Sizes = std::map<std::string, double, std::less<>>;

// Evaluates the grammar of Recorded's text: sum = product {(+|-) product}; product = atom {(*|/) atom};
// atom = number | name | (sum) | min(sum, sum) | max(sum, sum) | ceil(sum). Throws std::runtime_error at anything else.
class Evaluator {
 public:
  Evaluator(std::string_view text, const Sizes& sizes) : rest_(text), sizes_(sizes) {}
  double value() {
    const double v = sum();
    if (!rest_.empty()) fail("trailing");
    return v;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw std::runtime_error(what + " at '" + std::string(rest_) + "'"); }
  bool take(char c) {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("no ") + c);
  }
  double sum() {
    double v = product();
    for (;;) {
      if (take('+')) v += product();
      else if (take('-')) v -= product();
      else return v;
    }
  }
  double product() {
    double v = atom();
    for (;;) {
      if (take('*')) v *= atom();
      else if (take('/')) v /= atom();
      else return v;
    }
  }
  double atom() {
    if (take('(')) {
      const double v = sum();
      expect(')');
      return v;
    }
    if (rest_.empty()) fail("no atom");
    return std::isdigit(static_cast<unsigned char>(rest_.front())) ? number() : named();
  }
  double number() {
    double v = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), v);
    if (error != std::errc()) fail("no number");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return v;
  }
  double named() {
    std::size_t length = 0;
    while (length < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[length])) || rest_[length] == '_')) ++length;
    const std::string_view name = rest_.substr(0, length);
    rest_.remove_prefix(length);
    if (name == "min" || name == "max" || name == "ceil") return call(name);
    const auto size = sizes_.find(name);
    if (size == sizes_.end()) fail("unknown name '" + std::string(name) + "'");
    return size->second;
  }
  double call(std::string_view name) {
    expect('(');
    double v = sum();
    if (name == "ceil") v = std::ceil(v);
    else {
      expect(',');
      const double w = sum();
      v = name == "min" ? std::min(v, w) : std::max(v, w);
    }
    expect(')');
    return v;
  }
  std::string_view rest_;
  const Sizes& sizes_;
};

double evaluate(std::string_view text, const Sizes& sizes) { return Evaluator(text, sizes).value(); }

TEST(Evaluator, KnowsTheGrammar) {
  EXPECT_EQ(evaluate("2 * a - (a + 1) / 4 - 1", {{"a", 7}}), 11);
  EXPECT_EQ(evaluate("min(a, 3) * max(a, 3) + ceil(a / 2)", {{"a", 7}}), 25);
  EXPECT_EQ(evaluate("8 / 2 * 2", {}), 8);
  EXPECT_THROW(evaluate("b", {}), std::runtime_error);
  EXPECT_THROW(evaluate("2 2", {}), std::runtime_error);
}

TEST(Recorded, ParenthesesKeepTheMeaning) {
  const auto a = Recorded::size("a", 2), b = Recorded::size("b", 3), c = Recorded::size("c", 12);
  EXPECT_EQ((c / (a * b)).symbolic(), "c / (a * b)");
  EXPECT_EQ((c - (a - b)).filled(), "12 - (2 - 3)");
  EXPECT_EQ(((a + b) * c).symbolic(), "(a + b) * c");
  EXPECT_EQ((a * (b / c)).symbolic(), "a * b / c");
  EXPECT_EQ(ceil_div(a + b, c).symbolic(), "ceil((a + b) / c)");
  EXPECT_EQ((minimum(a, b + c) * 1 + 0).symbolic(), "min(a, b + c)");
  EXPECT_EQ((c / (a * b)).value(), 2);
}

TEST(Recorded, PrintsAGemmAsItIsWritten) {
  const auto lines = explain(Gemm<I>{.tokens = 128, .in = 7168, .out = 1536});
  EXPECT_EQ(lines.at(0).term, "matrix_flops_bf16");
  EXPECT_EQ(lines.at(0).symbolic, "2 * tokens * in * out");
  EXPECT_EQ(lines.at(0).filled, "2 * 128 * 7168 * 1536");
}

template <class E>
constexpr int values_of = std::is_same_v<E, DType> ? static_cast<int>(dtype_names.size()) : 2;

// visit(op) for every combination of the fields that are no sizes, from field J on.
template <std::size_t J = 0, template <class> class Op_, class Visit>
void each_variation(Op_<I> op, Visit visit) {
  constexpr auto fields = Op_<I>::fields();
  if constexpr (J == std::tuple_size_v<decltype(fields)>) visit(op);
  else {
    constexpr auto member = std::get<J>(fields).member;
    using T = std::remove_cvref_t<decltype(op.*member)>;
    if constexpr (is_size<T>) each_variation<J + 1>(op, visit);
    else
      for (int v = 0; v < values_of<T>; ++v) {
        op.*member = static_cast<T>(v);
        each_variation<J + 1>(op, visit);
      }
  }
}

// Sizes of 1 to 300, in steps of 1/8 where the record does not want whole ones.
template <template <class> class Op_>
Op_<I> with_random_sizes(std::mt19937& random) {
  Op_<I> op;
  const auto one = [&](auto& member) {
    using T = std::remove_cvref_t<decltype(member)>;
    if constexpr (std::is_same_v<T, double>) member = 1 + static_cast<double>(random() % 2400) / 8;
    else if constexpr (is_size<T>) member = static_cast<T>(1 + random() % 300);
  };
  std::apply([&](const auto&... f) { (one(op.*f.member), ...); }, Op_<I>::fields());
  return op;
}

// The terms of a cost that are not zero, under the names that explain() gives them.
std::map<std::string, double> terms(const Cost<>& c) {
  std::map<std::string, double> all{{"vector_flops", c.vector_flops},
                                    {"hbm_read_bytes", c.hbm_read_bytes},
                                    {"hbm_write_bytes", c.hbm_write_bytes},
                                    {"gathered_bytes", c.gathered_bytes},
                                    {"sent_bytes", c.sent_bytes}};
  for (const auto& [arithmetic, name] : arithmetic_names) all["matrix_flops_" + std::string(name)] = c.matrix(arithmetic);
  std::erase_if(all, [](const auto& term) { return term.second == 0; });
  return all;
}

void expect_explained(const Op& op) {
  Sizes sizes;
  std::visit(
      [&](const auto& o) {
        each_field(o, [&](std::string_view name, std::string_view, auto v) {
          if constexpr (is_size<decltype(v)>) sizes.emplace(name, static_cast<double>(v));
        });
      },
      op);
  auto expected = terms(cost(op));
  for (const auto& line : explain(op)) {
    ASSERT_TRUE(expected.count(line.term)) << line.term;
    const double value = expected.at(line.term);
    EXPECT_EQ(line.value, value) << line.term;
    EXPECT_NEAR(evaluate(line.symbolic, sizes), value, 1e-12 * value) << line.symbolic;
    EXPECT_NEAR(evaluate(line.filled, {}), value, 1e-12 * value) << line.filled;
    expected.erase(line.term);
  }
  EXPECT_TRUE(expected.empty()) << expected.begin()->first << " is not explained";
}

template <template <class> class Op_>
void expect_all_explained(Op_<I>) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 3; ++trial)
    each_variation(with_random_sizes<Op_>(random), [](const auto& op) {
      SCOPED_TRACE(std::string(op.name));
      expect_explained(Op(op));
    });
}

TEST(Formula, OfEveryOperatorEvaluatesToItsCost) {
  [&]<std::size_t... J>(std::index_sequence<J...>) { (expect_all_explained(std::variant_alternative_t<J, Op>{}), ...); }
  (std::make_index_sequence<std::variant_size_v<Op>>{});
}

// d cost / d size of Dual against a central difference; exact for these polynomials away from their steps.
template <template <class> class Op_, class Term>
void expect_slope(const Op_<I>& op, std::string_view size, Term term) {
  SCOPED_TRACE(std::string(Op_<I>::name) + " by " + std::string(size));
  const auto at = [&](double shift) { return term(cost(convert<double>(op, [&](std::string_view name, double v) { return name == size ? v + shift : v; }))); };
  const Dual slope = term(cost(convert<Dual>(op, [&](std::string_view name, double v) { return Dual(v, name == size ? 1 : 0); })));
  EXPECT_EQ(slope.value, at(0));
  EXPECT_NEAR(slope.slope, (at(0.5) - at(-0.5)), 1e-9 * std::abs(slope.slope));
  EXPECT_NE(slope.slope, 0);
}

TEST(Dual, IsTheDerivative) {
  const auto matrix = [](const auto& c) { return c.total_matrix_flops(); };
  const auto read = [](const auto& c) { return c.hbm_read_bytes; };
  const auto sent = [](const auto& c) { return c.sent_bytes; };
  for (const char* size : {"tokens", "in", "out"}) {
    expect_slope(Gemm<I>{.tokens = 12, .in = 70, .out = 15}, size, matrix);
    expect_slope(Gemm<I>{.tokens = 12, .in = 70, .out = 15}, size, read);
  }
  const SparseMla<I> sparse{.sequences = 3, .new_tokens = 7, .cached_tokens = 20, .heads = 4, .latent = 16, .rope = 8, .topk = 10, .cache = CacheFormat::bf16};
  for (const char* size : {"sequences", "new_tokens", "topk", "latent"}) expect_slope(sparse, size, matrix);
  expect_slope(DenseMha<I>{.sequences = 2, .new_tokens = 9, .cached_tokens = 4, .heads = 3, .nope = 8, .rope = 4, .v = 8}, "new_tokens", matrix);
  expect_slope(AllReduce<I>{.ranks = 4, .tokens = 10, .width = 64}, "tokens", sent);
}

TEST(Dual, CountsBlocksByTheirMeanSlope) {
  const Dual blocks = ceil_div(Dual(129, 1), Dual(128));
  EXPECT_EQ(blocks.value, 2);
  EXPECT_EQ(blocks.slope, 1 / 128.0);
}

}  // namespace
}  // namespace fathom::model_spec
