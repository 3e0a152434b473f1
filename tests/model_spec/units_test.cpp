#include "model_spec/units.h"

#include <gtest/gtest.h>

namespace fathom::model_spec {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};

TEST(Units, QuotientsAndProductsCarryTheirDimension) {
  static_assert(std::is_same_v<decltype(Bytes{} / BytesPerSecond{}), Seconds>);
  static_assert(std::is_same_v<decltype(Flops{} / Seconds{}), FlopsPerSecond>);
  static_assert(std::is_same_v<decltype(DollarsPerSecond{} * Seconds{}), Dollars>);
  static_assert(std::is_same_v<decltype(Seconds{} / Seconds{}), double>);
  EXPECT_EQ(gigabytes(6.7) / gigabytes_per_second(3350), milliseconds(2));
  EXPECT_EQ(Seconds{3} / Seconds{2}, 1.5);
}

TEST(Units, OnlyLikeAddsToLike) {
  static_assert(Addable<Bytes, Bytes>);
  static_assert(!Addable<Bytes, Flops>);
  static_assert(!Addable<Bytes, double>);
  static_assert(!std::is_convertible_v<double, Bytes>);
  Seconds t = microseconds(2);
  t += Seconds{1};
  t *= 2;
  t -= Seconds{1};
  EXPECT_DOUBLE_EQ(t.value, 1.000004);
}

TEST(Units, PrefixesAreDecimalOrBinaryAsTheirNameSays) {
  EXPECT_EQ(gigabytes(1), Bytes{1'000'000'000});
  EXPECT_EQ(gibibytes(1), Bytes{1'073'741'824});
  EXPECT_EQ(teraflops(2).value, 2e12);
  EXPECT_DOUBLE_EQ((dollars_per_hour(2) * Seconds{1800}).value, 1);
  EXPECT_LT(gigabytes(1), gibibytes(1));
}

}  // namespace
}  // namespace fathom::model_spec
