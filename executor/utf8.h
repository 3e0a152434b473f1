// UTF-8, one character at a time (Unicode 15, table 3-7: well-formed byte sequences).
#pragma once

#include <cassert>
#include <cstddef>
#include <string_view>

namespace fathom::executor {

enum class Utf8 { whole, cut_short, ill_formed };

struct Utf8Step {
  std::size_t bytes;  // of the character, or of the beginning of one that U+FFFD stands for when it is not whole
  Utf8 state;
};

// The character at the start of `text`, which is not empty. cut_short: `text` ends inside it.
inline Utf8Step utf8_step(std::string_view text) {
  assert(!text.empty());
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, Utf8::whole};
  const std::size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0) return {1, Utf8::ill_formed};
  // the second byte's range leaves out overlong forms, surrogates and what lies above U+10FFFF
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i, low = 0x80, high = 0xBF) {
    if (i == text.size()) return {i, Utf8::cut_short};
    if (byte(i) < low || byte(i) > high) return {i, Utf8::ill_formed};
  }
  return {length, Utf8::whole};
}

}  // namespace fathom::executor
