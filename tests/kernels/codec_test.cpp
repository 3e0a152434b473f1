#include "kernels/cpu/codec.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace fathom::kernels::cpu {
namespace {

struct Coded {
  double value;
  int code;
};

// The magnitudes of a format by its definition: exponent 0 holds multiples of the smallest step, the others (1 + fraction) * 2^(e - bias).
std::vector<Coded> magnitudes(int mantissa_bits, int codes, int bias) {
  std::vector<Coded> list;
  const int fractions = 1 << mantissa_bits;
  for (int code = 0; code < codes; ++code) {
    const int e = code / fractions, m = code % fractions;
    const double fraction = static_cast<double>(m) / fractions;
    list.push_back({e == 0 ? fraction * std::pow(2.0, 1 - bias) : (1 + fraction) * std::pow(2.0, e - bias), code});
  }
  return list;
}

// Every code decodes to its value and back. Between two neighbours everything below the middle goes down, everything above goes up, and
// the middle to the even code; as encoding is monotone, these points settle every float.
template <class Encode, class Decode>
void expect_format(const std::vector<Coded>& list, int sign_bit, Encode encode, Decode decode) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto v = static_cast<float>(list[i].value);
    ASSERT_EQ(decode(list[i].code), v);
    ASSERT_EQ(decode(list[i].code | sign_bit), -v);
    ASSERT_EQ(encode(v), list[i].code);
    ASSERT_EQ(encode(-v), list[i].code | sign_bit);
    if (i + 1 == list.size()) break;
    const auto middle = static_cast<float>((list[i].value + list[i + 1].value) / 2);
    ASSERT_EQ(encode(middle), list[i].code % 2 == 0 ? list[i].code : list[i + 1].code) << middle;
    ASSERT_EQ(encode(std::nextafter(middle, 0.0f)), list[i].code) << middle;
    ASSERT_EQ(encode(std::nextafter(-middle, -std::numeric_limits<float>::infinity())), list[i + 1].code | sign_bit) << middle;
  }
}

TEST(Codec, E4m3IsItsDefinition) {
  const auto list = magnitudes(3, 0x7f, 7);
  EXPECT_EQ(list.back().value, 448);
  expect_format(
      list, 0x80, [](float x) { return encode_e4m3(x); }, [](int c) { return decode_e4m3(static_cast<std::uint8_t>(c)); });
}

TEST(Codec, E4m3SaturatesAndKeepsNan) {
  for (const float big : {449.0f, 464.0f, 480.0f, 1e30f, std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(decode_e4m3(encode_e4m3(big)), 448);
    EXPECT_EQ(decode_e4m3(encode_e4m3(-big)), -448);
  }
  EXPECT_TRUE(std::isnan(decode_e4m3(0x7f)));
  EXPECT_TRUE(std::isnan(decode_e4m3(0xff)));
  EXPECT_EQ(encode_e4m3(std::nanf("")) & 0x7f, 0x7f);
}

TEST(Codec, E2m1IsItsDefinition) {
  expect_format(
      magnitudes(1, 8, 1), 8, [](float x) { return encode_e2m1(x); }, [](int c) { return decode_e2m1(static_cast<std::uint8_t>(c)); });
  EXPECT_EQ(decode_e2m1(encode_e2m1(100)), 6);
  EXPECT_EQ(decode_e2m1(encode_e2m1(-7)), -6);
}

TEST(Codec, Bf16IsItsDefinition) {
  expect_format(
      magnitudes(7, 0x7f80, 127), 0x8000, [](float x) { return encode_bf16(x); }, [](int c) { return decode_bf16(static_cast<std::uint16_t>(c)); });
  EXPECT_TRUE(std::isinf(round_bf16(std::numeric_limits<float>::max())));
  EXPECT_TRUE(std::isinf(round_bf16(std::numeric_limits<float>::infinity())));
  EXPECT_TRUE(std::isnan(round_bf16(std::bit_cast<float>(0x7f800001u))));
}

TEST(Codec, IntegersRoundToEvenAndSaturate) {
  EXPECT_EQ(encode_integer(2.5f, int8_largest), 2);
  EXPECT_EQ(encode_integer(-3.5f, int8_largest), -4);
  EXPECT_EQ(encode_integer(-500, int8_largest), -127);
  EXPECT_EQ(encode_integer(9, int4_largest), 7);
}

TEST(Codec, ScalesRoundUpToPowersOfTwo) {
  EXPECT_EQ(power_of_two_above(1.0f), 1.0f);
  EXPECT_EQ(power_of_two_above(std::nextafter(1.0f, 2.0f)), 2.0f);
  EXPECT_EQ(power_of_two_above(0.75f), 1.0f);
  EXPECT_EQ(power_of_two_above(1e-4f / 448), 0x1p-22f);  // the smallest scale of act_quant
}

}  // namespace
}  // namespace fathom::kernels::cpu
