// How far it is, on stderr: one line that changes in a terminal; elsewhere a line now and then.
#pragma once

#include <chrono>
#include <string>

namespace fathom::cli {

class Progress {
 public:
  Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  // clears the line
  void show(const std::string& what, double done);

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_, shown_ = false;
  Clock::time_point last_ = Clock::now();
};

}  // namespace fathom::cli
