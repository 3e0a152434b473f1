// Strong types for physical quantities, SI inside: seconds, bytes, floating-point operations, dollars and their quotients.
// A product or quotient carries its dimension; only like adds to like; a dimensionless quotient is a plain double.
#pragma once

#include <compare>
#include <type_traits>

namespace fathom::model_spec {

template <int Second, int Byte, int Flop, int Dollar>
struct Quantity {
  double value = 0;

  constexpr Quantity() = default;
  constexpr explicit Quantity(double v) : value(v) {}

  constexpr Quantity& operator+=(Quantity other) {
    value += other.value;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value -= other.value;
    return *this;
  }
  constexpr Quantity& operator*=(double factor) {
    value *= factor;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity{a.value + b.value}; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity{a.value - b.value}; }
  friend constexpr Quantity operator*(Quantity a, double f) { return Quantity{a.value * f}; }
  friend constexpr Quantity operator*(double f, Quantity a) { return Quantity{a.value * f}; }
  friend constexpr Quantity operator/(Quantity a, double d) { return Quantity{a.value / d}; }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;
};

namespace detail {
template <int S, int B, int F, int D>
constexpr auto make(double v) {
  if constexpr (S == 0 && B == 0 && F == 0 && D == 0) return v;
  else return Quantity<S, B, F, D>{v};
}
}  // namespace detail

template <int S1, int B1, int F1, int D1, int S2, int B2, int F2, int D2>
constexpr auto operator*(Quantity<S1, B1, F1, D1> a, Quantity<S2, B2, F2, D2> b) {
  return detail::make<S1 + S2, B1 + B2, F1 + F2, D1 + D2>(a.value * b.value);
}
template <int S1, int B1, int F1, int D1, int S2, int B2, int F2, int D2>
constexpr auto operator/(Quantity<S1, B1, F1, D1> a, Quantity<S2, B2, F2, D2> b) {
  return detail::make<S1 - S2, B1 - B2, F1 - F2, D1 - D2>(a.value / b.value);
}

using Seconds = Quantity<1, 0, 0, 0>;
using Bytes = Quantity<0, 1, 0, 0>;
using Flops = Quantity<0, 0, 1, 0>;
using Dollars = Quantity<0, 0, 0, 1>;
using BytesPerSecond = Quantity<-1, 1, 0, 0>;
using FlopsPerSecond = Quantity<-1, 0, 1, 0>;
using DollarsPerSecond = Quantity<-1, 0, 0, 1>;

constexpr Seconds microseconds(double v) { return Seconds{v * 1e-6}; }
constexpr Seconds milliseconds(double v) { return Seconds{v * 1e-3}; }
constexpr Bytes gigabytes(double v) { return Bytes{v * 1e9}; }           // GB = 1e9 bytes
constexpr Bytes gibibytes(double v) { return Bytes{v * 1073741824.0}; }  // GiB = 2^30 bytes
constexpr BytesPerSecond gigabytes_per_second(double v) { return BytesPerSecond{v * 1e9}; }
constexpr FlopsPerSecond teraflops(double v) { return FlopsPerSecond{v * 1e12}; }
constexpr DollarsPerSecond dollars_per_hour(double v) { return DollarsPerSecond{v / 3600.0}; }

}  // namespace fathom::model_spec
