#include "cli/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "cli/app.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "model_spec/version.h"

namespace fathom::cli {
namespace {

Exit exit_for(Failure failure) {
  switch (failure) {
    case Failure::usage: return Exit::usage;
    case Failure::bad_file: return Exit::bad_file;
    case Failure::io: return Exit::io;
    case Failure::device: return Exit::device;
  }
  return Exit::usage;
}

Outcome run_completion(const Request& request) { return {.data = completion(needed_argument(request, "the shell (bash, zsh or fish)"))}; }

constexpr Runner runners[] = {
    {"estimate", run_estimate},    {"vram", run_vram},     {"cost", run_cost}, {"spec", run_spec},        {"profiles", run_profiles}, {"graph", run_graph},
    {"trace", run_trace},          {"config", run_config}, {"run", hand_over}, {"checkpoint", hand_over}, {"bench", hand_over},       {"doctor", hand_over},
    {"completion", run_completion}};

std::string version_text() {
  const auto commit = version_commit();
  return commit.empty() ? fmt::format("fathom {}\n", version()) : fmt::format("fathom {} ({})\n", version(), commit);
}

Outcome run_verb(const Request& request, std::span<const Runner> own) {
  const auto first = split(request.verb, ' ').front();
  const auto found = std::ranges::find(own, first, &Runner::verb);
  return (found != own.end() ? *found : *std::ranges::find(runners, first, &Runner::verb)).run(request);
}

// --help and --version come before anything else is looked at; nothing if neither is there.
std::string information(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments.front() == "--help" || arguments.front() == "-h") return program_help();
  if (arguments.front() == "--version" || arguments.front() == "version") return version_text();
  const bool asked = arguments.front() == "help";
  if (asked) arguments.erase(arguments.begin());
  if (asked && arguments.empty()) return program_help();
  const bool flagged = std::ranges::any_of(arguments, [](const std::string& a) { return a == "--help" || a == "-h"; });
  if (!asked && !flagged) return {};
  const auto* verb = find_verb(arguments.front());
  if (!verb && arguments.size() > 1) verb = find_verb(arguments[0] + " " + arguments[1]);
  if (verb) return verb_help(*verb);
  std::string group;
  for (const auto& v : verbs())
    if (split(v.name, ' ').front() == arguments.front()) group += (group.empty() ? "" : "\n\n") + verb_help(v);
  return group;
}

int run_request(const Request& request, std::span<const Runner> own) {
  const auto outcome = run_verb(request, own);
  for (const auto& remark : outcome.remarks) fmt::print(stderr, "fathom: {}\n", remark);
  const auto file = outcome.wrote_output ? "-" : request.option("output", "-");
  if (outcome.data.empty()) return static_cast<int>(outcome.exit);
  if (file == "-") write_stdout(outcome.data);
  else write_file(file, outcome.data);
  return static_cast<int>(outcome.exit);
}

}  // namespace

int run(const std::vector<std::string>& arguments, std::span<const Runner> own) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is met where we write
  std::signal(SIGINT, [](int) { _exit(static_cast<int>(Exit::interrupted)); });
  try {
    const auto text = information(arguments);
    if (text.empty()) return run_request(parse_command_line(arguments), own);
    write_stdout(text);
    return static_cast<int>(Exit::ok);
  } catch (const Error& e) {
    for (const auto line : split(e.what(), '\n')) fmt::print(stderr, "fathom: {}\n", line);
    return static_cast<int>(exit_for(e.failure()));
  }
}

}  // namespace fathom::cli
