// Two number types for cost() besides double: Recorded keeps the text of what was computed, Dual its derivative.
#pragma once

#include <cmath>
#include <string>

#include "model_spec/number.h"

namespace fathom::model_spec {

// A value with the formula that gave it, once with the names of the sizes and once with their values.
// Grammar of the text: numbers, names, + - * /, parentheses, min(a, b), max(a, b), ceil(a / b).
class Recorded {
 public:
  Recorded() : Recorded(0.0) {}
  Recorded(double literal);  // NOLINT: a literal in a formula is a formula
  static Recorded size(std::string name, double value);

  [[nodiscard]] double value() const { return value_; }
  [[nodiscard]] const std::string& symbolic() const { return symbolic_; }  // 2 * tokens * in * out
  [[nodiscard]] const std::string& filled() const { return filled_; }      // 2 * 128 * 7168 * 1536

  friend Recorded operator+(const Recorded& a, const Recorded& b);
  friend Recorded operator-(const Recorded& a, const Recorded& b);
  friend Recorded operator*(const Recorded& a, const Recorded& b);
  friend Recorded operator/(const Recorded& a, const Recorded& b);
  friend Recorded ceil_div(const Recorded& a, const Recorded& b);
  friend Recorded minimum(const Recorded& a, const Recorded& b);
  friend Recorded maximum(const Recorded& a, const Recorded& b);

 private:
  enum class Binding { sum, product, atom };
  static Recorded infix(const Recorded& a, char op, const Recorded& b, double value, Binding binding);
  static Recorded call(const char* name, const char* separator, const Recorded& a, const Recorded& b, double value);
  [[nodiscard]] bool is_literal(double v) const { return literal_ && value_ == v; }
  double value_;
  bool literal_ = false;
  Binding binding_ = Binding::atom;
  std::string symbolic_, filled_;
};

// The shortest text that reads back as the same double; whole numbers without a point.
std::string number_text(double v);

// Value and derivative by one chosen size (forward mode).
struct Dual {
  double value = 0, slope = 0;
  Dual() = default;
  Dual(double v, double s = 0) : value(v), slope(s) {}  // NOLINT: literals are constants
  friend Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
  friend Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }
  friend Dual operator*(Dual a, Dual b) { return {a.value * b.value, a.slope * b.value + a.value * b.slope}; }
  friend Dual operator/(Dual a, Dual b) { return {a.value / b.value, (a.slope * b.value - a.value * b.slope) / (b.value * b.value)}; }
  // Block counts are steps; their mean slope is what a sensitivity wants.
  friend Dual ceil_div(Dual a, Dual b) { return {std::ceil(a.value / b.value), (a / b).slope}; }
  friend Dual minimum(Dual a, Dual b) { return a.value <= b.value ? a : b; }
  friend Dual maximum(Dual a, Dual b) { return a.value >= b.value ? a : b; }
};

}  // namespace fathom::model_spec
