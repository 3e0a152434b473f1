#include "model_spec/formula.h"

#include <fmt/format.h>

namespace fathom::model_spec {

std::string number_text(double v) {
  if (v == std::floor(v) && std::abs(v) < 1e15) return fmt::format("{:.0f}", v);
  return fmt::format("{}", v);
}

Recorded::Recorded(double literal) : value_(literal), literal_(true), symbolic_(number_text(literal)), filled_(symbolic_) {}

Recorded Recorded::size(std::string name, double value) {
  Recorded r(value);
  r.literal_ = false;
  r.symbolic_ = std::move(name);
  return r;
}

Recorded Recorded::infix(const Recorded& a, char op, const Recorded& b, double value, Binding binding) {
  const bool tight = binding == Binding::product;
  const bool right_needs = (tight && b.binding_ != Binding::atom && (op == '/' || b.binding_ == Binding::sum)) || (op == '-' && b.binding_ == Binding::sum);
  const bool left_needs = tight && a.binding_ == Binding::sum;
  const auto wrap = [](const std::string& s, bool needs) { return needs ? "(" + s + ")" : s; };
  Recorded r;
  r.literal_ = false;
  r.value_ = value;
  r.binding_ = binding;
  r.symbolic_ = fmt::format("{} {} {}", wrap(a.symbolic_, left_needs), op, wrap(b.symbolic_, right_needs));
  r.filled_ = fmt::format("{} {} {}", wrap(a.filled_, left_needs), op, wrap(b.filled_, right_needs));
  return r;
}

Recorded Recorded::call(const char* name, const char* separator, const Recorded& a, const Recorded& b, double value) {
  // The arguments of ceil(a / b) are factors of a quotient; those of min and max stand alone.
  const Recorded inside = separator[0] == '/' ? infix(a, '/', b, value, Binding::product) : Recorded();
  Recorded r;
  r.literal_ = false;
  r.value_ = value;
  r.binding_ = Binding::atom;
  if (separator[0] == '/') {
    r.symbolic_ = fmt::format("{}({})", name, inside.symbolic_);
    r.filled_ = fmt::format("{}({})", name, inside.filled_);
  } else {
    r.symbolic_ = fmt::format("{}({}, {})", name, a.symbolic_, b.symbolic_);
    r.filled_ = fmt::format("{}({}, {})", name, a.filled_, b.filled_);
  }
  return r;
}

// Terms that are literally zero and factors that are literally one say nothing: they are left out.
Recorded operator+(const Recorded& a, const Recorded& b) {
  if (a.is_literal(0)) return b;
  if (b.is_literal(0)) return a;
  return Recorded::infix(a, '+', b, a.value_ + b.value_, Recorded::Binding::sum);
}
Recorded operator-(const Recorded& a, const Recorded& b) {
  if (b.is_literal(0)) return a;
  return Recorded::infix(a, '-', b, a.value_ - b.value_, Recorded::Binding::sum);
}
Recorded operator*(const Recorded& a, const Recorded& b) {
  if (a.is_literal(1)) return b;
  if (b.is_literal(1)) return a;
  return Recorded::infix(a, '*', b, a.value_ * b.value_, Recorded::Binding::product);
}
Recorded operator/(const Recorded& a, const Recorded& b) {
  if (b.is_literal(1)) return a;
  return Recorded::infix(a, '/', b, a.value_ / b.value_, Recorded::Binding::product);
}
Recorded ceil_div(const Recorded& a, const Recorded& b) { return Recorded::call("ceil", "/", a, b, std::ceil(a.value_ / b.value_)); }
Recorded minimum(const Recorded& a, const Recorded& b) { return Recorded::call("min", ",", a, b, std::min(a.value_, b.value_)); }
Recorded maximum(const Recorded& a, const Recorded& b) { return Recorded::call("max", ",", a, b, std::max(a.value_, b.value_)); }

}  // namespace fathom::model_spec
