#include "hardware_profiles/profile.h"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <functional>

#include "model_spec/error.h"

namespace fathom::hardware_profiles {

namespace {

template <class Rate>
Rate known(const std::optional<Rate>& rate, const std::string& file, std::string_view key, std::string_view what) {
  if (rate) return *rate;
  throw Error(Failure::bad_file, fmt::format("{}: {} is missing: this device has no {}", file, key, what));
}

}  // namespace

Curve::Curve(std::vector<double> log2_x, std::vector<double> fraction) : log2_x_(std::move(log2_x)), fraction_(std::move(fraction)) {
  assert(!fraction_.empty() && log2_x_.size() == fraction_.size());
  assert(std::adjacent_find(log2_x_.begin(), log2_x_.end(), std::greater_equal<>()) == log2_x_.end());  // increasing
}

Curve::Value Curve::at(double work) const {
  assert(!empty());
  if (fraction_.size() == 1) return {fraction_.front(), true};
  const double x = std::log2(work);  // -inf for no work: held at the left end
  if (!(x > log2_x_.front())) return {fraction_.front(), x == log2_x_.front()};
  if (x >= log2_x_.back()) return {fraction_.back(), x == log2_x_.back()};
  const auto right = static_cast<std::size_t>(std::upper_bound(log2_x_.begin(), log2_x_.end(), x) - log2_x_.begin());
  const double share = (x - log2_x_[right - 1]) / (log2_x_[right] - log2_x_[right - 1]);
  return {fraction_[right - 1] + share * (fraction_[right] - fraction_[right - 1]), true};
}

const Efficiency* Calibration::find(Family family, Arithmetic arithmetic) const {
  const auto& row = entries[static_cast<std::size_t>(family)];
  const auto& exact = row[static_cast<std::size_t>(arithmetic)];
  const auto& any = row[static_cast<std::size_t>(Arithmetic::fp32)];
  return exact ? &*exact : any ? &*any : nullptr;
}

FlopsPerSecond HardwareProfile::rate(Arithmetic a) const {
  const auto& rate = matrix_rate[static_cast<std::size_t>(a)];
  if (rate) return *rate;  // the text below costs more than the rest of pricing an operator
  const std::string_view unit = a == Arithmetic::int8 ? "TOPS" : "TFLOPS";
  const std::string_view type = model_spec::name_of(a);
  return known(rate, origin, fmt::format("compute.{}_{}", type, unit), fmt::format("rate for {} products", type));
}
FlopsPerSecond HardwareProfile::vector() const { return known(vector_rate, origin, "compute.fp32_vector_TFLOPS", "rate outside matrix units"); }
BytesPerSecond HardwareProfile::bandwidth() const { return known(hbm_bandwidth, origin, "memory.hbm_GBps", "memory bandwidth"); }

}  // namespace fathom::hardware_profiles
