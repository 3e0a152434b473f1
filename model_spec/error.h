// One exception type for everything outside the program that can go wrong: a bad file, a failed system call, a device.
// Bugs assert; an infeasible plan is a value with a reason (layout.h); this is the third form. It is caught once per face.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace fathom::model_spec {

enum class Failure {
  usage,     // the command line or a value given on it
  bad_file,  // a file that was read but is not what it should be
  io,        // a file that could not be read or written
  device,    // a GPU, its driver, or a collective library
};

class Error : public std::runtime_error {
 public:
  Error(Failure failure, const std::string& message) : std::runtime_error(message), failure_(failure) {}
  [[nodiscard]] Failure failure() const { return failure_; }

 private:
  Failure failure_;
};

// Problems of one file, gathered so that a user sees all of them in one go, each once. Lines read "file:line:column: key: what is wrong".
class Problems {
 public:
  void add(std::string line) {
    if (std::find(lines_.begin(), lines_.end(), line) == lines_.end()) lines_.push_back(std::move(line));
  }
  [[nodiscard]] bool empty() const { return lines_.empty(); }
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }
  // Throws Error{bad_file} with all lines joined by newlines, if there are any.
  void throw_if_any() const {
    if (lines_.empty()) return;
    std::string all;
    for (const auto& line : lines_) all += (all.empty() ? "" : "\n") + line;
    throw Error(Failure::bad_file, all);
  }

 private:
  std::vector<std::string> lines_;
};

}  // namespace fathom::model_spec
