// Verbs that run models are the work of another program, so that this one links no device library and starts anywhere.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/verbs.h"

namespace fathom::cli {
namespace {

constexpr auto executor_name = "fathom-executor";

std::filesystem::path own_folder() {
  std::error_code none;
  return std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
}

}  // namespace

Outcome hand_over(const Request& request) {
  const auto folder = own_folder();
  auto name = (folder / executor_name).string();
  auto words = request.words;
  std::vector<char*> arguments{name.data()};
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  setenv("OMP_WAIT_POLICY", "passive", 0);  // ranks share the cores: a thread that waits for work must not spin
  if (!folder.empty()) execv(name.c_str(), arguments.data());
  if (errno == ENOENT || folder.empty()) execvp(executor_name, arguments.data());
  if (errno != ENOENT) throw Error(Failure::io, fmt::format("{}: {}", executor_name, std::strerror(errno)));
  throw Error(Failure::io, fmt::format("{}: the program {} does this, and is neither in {} nor in PATH", request.verb, executor_name, folder.string()));
}

}  // namespace fathom::cli
