#include "cli/executor/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace fathom::cli {
namespace {

using namespace std::chrono_literals;
constexpr auto terminal_interval = 100ms, log_interval = 10000ms;

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_ && terminal_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::show(const std::string& what, double done) {
  const auto now = Clock::now();
  if (now - last_ < (terminal_ ? terminal_interval : log_interval)) return;
  last_ = now;
  shown_ = true;
  fmt::print(stderr, "{}fathom: {}: {:.0f} %{}", terminal_ ? "\r\x1b[K" : "", what, 100 * done, terminal_ ? "" : "\n");
  std::fflush(stderr);
}

}  // namespace fathom::cli
