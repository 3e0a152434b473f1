// Witnesses: a scalar that counts what is done to it, and matrices that note which of their numbers were loaded and stored.
#pragma once

#include <cmath>
#include <set>
#include <utility>

#include "tests/kernels/arrays.h"

namespace fathom::kernels::cpu {

struct FlopCount {
  double matrix = 0, vector = 0;
};
inline thread_local FlopCount flop_count;  // of all Counted since it was last reset

struct Counted {
  float value = 0;
  explicit Counted(float v) : value(v) {}
};

inline Counted vector_work(float result) {
  flop_count.vector += 1;
  return Counted(result);
}
inline Counted operator+(Counted a, Counted b) { return vector_work(a.value + b.value); }
inline Counted operator-(Counted a, Counted b) { return vector_work(a.value - b.value); }
inline Counted operator*(Counted a, Counted b) { return vector_work(a.value * b.value); }
inline Counted operator/(Counted a, Counted b) { return vector_work(a.value / b.value); }
inline Counted operator-(Counted a) { return vector_work(-a.value); }
inline bool operator>(Counted a, Counted b) { return vector_work(a.value).value > b.value; }
inline Counted exponential(Counted x) { return vector_work(std::exp(x.value)); }
inline Counted square_root(Counted x) { return vector_work(std::sqrt(x.value)); }
inline Counted magnitude(Counted x) { return vector_work(std::abs(x.value)); }
inline Counted larger(Counted a, Counted b) { return vector_work(std::max(a.value, b.value)); }
inline Counted smaller(Counted a, Counted b) { return vector_work(std::min(a.value, b.value)); }
inline Counted mul_add(Counted a, Counted b, Counted c) {
  flop_count.matrix += 2;
  return Counted(a.value * b.value + c.value);
}
inline float plain(Counted x) { return x.value; }

// Bytes of an array that were touched: each address once, and every time.
class Touched {
 public:
  Touched(std::int64_t elements, double bytes_each) : seen_(static_cast<std::size_t>(elements)), bytes_each_(bytes_each) {}
  void touch(std::int64_t i) {
    total_ += bytes_each_;
    if (!seen_.at(static_cast<std::size_t>(i))) distinct_ += bytes_each_;
    seen_[static_cast<std::size_t>(i)] = true;
  }
  [[nodiscard]] double distinct() const { return distinct_; }
  [[nodiscard]] double total() const { return total_; }

 private:
  std::vector<bool> seen_;
  double bytes_each_, distinct_ = 0, total_ = 0;
};

// An Array that notes its use; its scales are an array of their own.
class Witnessed {
 public:
  explicit Witnessed(Array array = Array(DType::bf16, 0, 0))
      : array_(std::move(array)), loaded_(numbers()), stored_(numbers()), loaded_scales_(scales()), stored_scales_(scales()) {}
  Witnessed(DType type, std::int64_t rows, std::int64_t columns, unsigned seed = 1) : Witnessed(random_array(type, rows, columns, seed)) {}

  [[nodiscard]] Counted get(std::int64_t r, std::int64_t c) const {
    loaded_.touch(r * array_.columns() + c);
    return Counted(array_.get(r, c));
  }
  void set(std::int64_t r, std::int64_t c, Counted x) {
    stored_.touch(r * array_.columns() + c);
    array_.set(r, c, x.value);
  }
  [[nodiscard]] float scale(std::int64_t r, std::int64_t c) const {
    loaded_scales_.touch(scale_index(array_.type(), array_.columns(), r, c));
    return array_.scale(r, c);
  }
  void set_scale(std::int64_t r, std::int64_t c, Counted s) { set_scale(r, c, s.value); }
  void set_scale(std::int64_t r, std::int64_t c, float s) {
    stored_scales_.touch(scale_index(array_.type(), array_.columns(), r, c));
    array_.set_scale(r, c, s);
  }
  [[nodiscard]] std::int64_t integer(std::int64_t r, std::int64_t c) const {
    loaded_.touch(r * array_.columns() + c);
    return array_.integer(r, c);
  }
  void set_integer(std::int64_t r, std::int64_t c, std::int64_t v) {
    stored_.touch(r * array_.columns() + c);
    array_.set_integer(r, c, v);
  }

  [[nodiscard]] double read() const { return loaded_.distinct() + loaded_scales_.distinct(); }
  [[nodiscard]] double written() const { return stored_.distinct() + stored_scales_.distinct(); }
  [[nodiscard]] double loads() const { return loaded_.total() + loaded_scales_.total(); }

 private:
  [[nodiscard]] Touched numbers() const { return {array_.rows() * array_.columns(), model_spec::element_bytes(array_.type())}; }
  [[nodiscard]] Touched scales() const {
    const ScaleType type = scale_type(array_.type());
    return {scale_count(array_.type(), array_.rows(), array_.columns()), type == ScaleType::fp32 ? 4.0 : type == ScaleType::bf16 ? 2.0 : 1.0};
  }
  Array array_;
  mutable Touched loaded_, stored_, loaded_scales_, stored_scales_;
};

// A mask of one bit a (token, position) that lets every second position through, and the first.
class WitnessedMask {
 public:
  [[nodiscard]] bool bit(std::int64_t t, std::int64_t position) const {
    seen_.emplace(t, position);
    return position % 2 == 0;
  }
  [[nodiscard]] double read() const { return static_cast<double>(seen_.size()) / 8; }
  [[nodiscard]] static double written() { return 0; }

 private:
  mutable std::set<std::pair<std::int64_t, std::int64_t>> seen_;
};

}  // namespace fathom::kernels::cpu
