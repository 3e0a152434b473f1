#include "gui/models/sweep_axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "cli/flags.h"

namespace fathom::gui {
namespace {

constexpr std::array<SweepKey, 15> keys{{
    {"decode.batch", "Decode sequences per dp rank", "1..256 x2"},
    {"workload.isl", "Input tokens", "1k..128k x2"},
    {"workload.osl", "Output tokens", "250..8k x2"},
    {"workload.prefix", "Cached prefix, tokens", "0..3.5k +500"},
    {"workload.nextn_accepted", "Accepted drafts a step", "0..1 +0.1"},
    {"decode.layout.ep", "Decode expert parallel, GPUs", "16..256 x2"},
    {"decode.layout.tp", "Decode tensor parallel, GPUs", "1..8 x2"},
    {"prefill.batch", "Prefill sequences per dp rank", "1..16 x2"},
    {"prefill.layout.ep", "Prefill expert parallel, GPUs", "8..128 x2"},
    {"policy.chunked_prefill_tokens", "Most new tokens a rank and step", "1Ki..32Ki x2"},
    {"policy.mtp_depth", "Draft tokens a step", "0,1,2,3"},
    {"gpu_mem_fraction", "Share of memory that may be filled", "0.6..0.95 +0.05"},
    {"prices.usd_per_gpu_hour", "Price of a GPU-hour, USD", "1..8 +0.5"},
    {"model.index_topk", "Tokens that the indexer selects", "256..8Ki x2"},
    {"model.num_experts_per_tok", "Experts per token", "2..16 +2"},
}};

[[noreturn]] void refuse(const std::string& message) { throw model_spec::Error(model_spec::Failure::usage, message); }

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" :"), end = text.find_last_not_of(" :");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

double number(std::string_view text) {
  const auto value = cli::parse_quantity(trimmed(text));
  if (!value) refuse(fmt::format("'{}' is not a number; 4000, 4k, 128Ki, 0.9, 90% are", trimmed(text)));
  return *value;
}

// 0.7 + 3 * 0.05 is 0.85, not 0.8500000000000001.
double tidy(double v) { return std::strtod(fmt::format("{:.12g}", v).c_str(), nullptr); }

std::size_t bounded(double count) {
  if (count > static_cast<double>(most_axis_values)) refuse(fmt::format("more than {} values", most_axis_values));
  return static_cast<std::size_t>(count);
}

std::vector<double> multiplied(double from, double to, double factor) {
  if (factor <= 1 || from <= 0) refuse("a range with x needs a start above 0 and a factor above 1");
  std::vector<double> out(bounded(std::floor(std::log(to / from) / std::log(factor) + 1e-9) + 1));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = tidy(from * std::pow(factor, static_cast<double>(i)));
  return out;
}

std::vector<double> stepped(double from, double to, double step) {
  if (step <= 0) refuse("a range with + needs a step above 0");
  std::vector<double> out(bounded(std::floor((to - from) / step + 1e-9) + 1));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = tidy(from + step * static_cast<double>(i));
  return out;
}

// Sizes of things that come whole stay whole.
std::vector<double> spread(double from, double to, double count) {
  if (count < 1 || count != std::floor(count)) refuse("a range with 'in' needs a whole number of values");
  auto out = axis_values(from, to, bounded(count), spans_decades(from, to));
  const bool whole = from == std::floor(from) && to == std::floor(to) && to - from >= count - 1;
  for (auto& v : out) v = whole ? std::round(v) : tidy(v);
  return out;
}

std::vector<double> range(std::string_view text, std::size_t dots) {
  const auto rest = trimmed(text.substr(dots + 2));
  const auto end = std::min(rest.find_first_of(" :x+"), rest.size());
  const double from = number(text.substr(0, dots)), to = number(rest.substr(0, end));
  const auto how = trimmed(rest.substr(end));
  if (from > to) refuse(fmt::format("'{}' runs backwards", text));
  if (how.starts_with('x')) return multiplied(from, to, number(how.substr(1)));
  if (how.starts_with('+')) return stepped(from, to, number(how.substr(1)));
  if (how.starts_with("in ")) return spread(from, to, number(how.substr(3)));
  refuse(fmt::format("'{}' needs a step: '{} x2', '{} +1' or '{} in 8'", text, text, text, text));
}

}  // namespace

std::span<const SweepKey> sweep_keys() { return keys; }

std::string sweep_label(std::string_view key) {
  const auto found = std::ranges::find(keys, key, &SweepKey::key);
  return std::string(found == keys.end() ? key : found->label);
}

bool spans_decades(double least, double most) { return least > 0 && most > 20 * least; }

std::vector<double> axis_values(double from, double to, std::size_t count, bool logarithmic) {
  std::vector<double> out(count, from);
  for (std::size_t i = 1; i < count; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(count - 1);
    out[i] = logarithmic ? from * std::pow(to / from, t) : from + t * (to - from);
  }
  if (count > 1) out.back() = to;
  return out;
}

std::vector<double> parse_axis_values(std::string_view text) {
  if (trimmed(text).empty()) refuse("no values; '1,2,4', '1k..128k x2', '0.1..1 +0.1' and '1k..128k in 8' are some");
  std::vector<double> out;
  for (const auto item : cli::split(text, ',')) {
    const auto dots = trimmed(item).find("..");
    const auto values = dots == std::string_view::npos ? std::vector{number(item)} : range(trimmed(item), dots);
    out.insert(out.end(), values.begin(), values.end());
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  bounded(static_cast<double>(out.size()));
  return out;
}

}  // namespace fathom::gui
