#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "simulator/report.h"

namespace fathom::cli {
namespace {

constexpr std::size_t width = 80, flag_column = 26;
constexpr std::string_view scenario_help =
    "Numbers may be written 4k, 128Ki, 1.5M, 90%. Flags win over FATHOM_* variables (FATHOM_ISL), those over the scenario file.";

std::string indented(std::string_view lines) {
  std::string out;
  for (const auto line : split(lines, '\n')) out += fmt::format("  {}\n", line);
  return out;
}

// "  left      text that is wrapped in a column of its own"
std::string entry(const std::string& left, const std::string& text, std::size_t column) {
  if (text.empty()) return "  " + left + "\n";
  const bool beside = left.size() + 3 <= column;
  std::string out = beside ? fmt::format("  {:<{}}", left, column - 2) : fmt::format("  {}\n{:{}}", left, "", column);
  std::string body = wrapped(text, width - column);
  for (std::size_t at = 0; (at = body.find('\n', at)) != std::string::npos; at += column) body.insert(at + 1, std::string(column, ' '));
  return out + body + "\n";
}

std::string flag_entry(const Flag& flag) {
  const auto names = names_of(flag);
  auto left = names.front();
  if (flag.values == Values::optional_text) left += fmt::format(" [{}]", flag.shown);
  else if (!flag.shown.empty()) left += fmt::format(" {}", flag.shown);
  std::string text(flag.help);
  if (flag.values == Values::word) text += fmt::format("{}{}", text.empty() ? "" : ": ", fmt::join(typed_words(flag), ", "));
  if (names.size() > 1) text += fmt::format("{}also {}", text.empty() ? "" : "; ", fmt::join(names.begin() + 1, names.end(), ", "));
  return entry(left, text, flag_column);
}

std::string flags_help(const Verb& verb) {
  std::vector<std::string_view> groups;
  for (const auto& flag : flags())
    if (takes(verb, flag) && std::ranges::find(groups, flag.group) == groups.end()) groups.push_back(flag.group);
  std::string out;
  for (const auto group : groups) {
    out += fmt::format("\n{}\n", group);
    for (const auto& flag : flags())
      if (flag.group == group && takes(verb, flag)) out += flag_entry(flag);
  }
  return out;
}

}  // namespace

std::string program_help() {
  std::string out =
      "fathom: what a DeepSeek-V3.2-class model costs to serve, how fast it is, and\nwhere it fits; and runs it\n\n"
      "  fathom estimate                      V3.2 on DeepSeek's own H800 deployment\n"
      "  fathom estimate --system h200_sxm --ep 32 --isl 8k --osl 1k\n"
      "  fathom vram --isl 128k --concurrency 64\n"
      "  fathom cost --curve\n"
      "  fathom run --layers 4 --experts 16 --synthetic 7 --prompt-ids random:64\n\nVerbs\n";
  for (const auto& verb : verbs()) out += entry(std::string(verb.name), std::string(verb.summary), 21);
  return out +
         "\n`fathom VERB --help` lists the flags of a verb; `fathom --version` says which\nversion this is.\n\n"
         "Exit codes: 0 ok, 1 infeasible, 2 usage, 3 bad file, 4 input or output,\n"
         "5 device, 130 interrupted.\n";
}

std::string verb_help(const Verb& verb) {
  std::string out = indented(verb.examples);
  out += fmt::format("\n{}\n", wrapped(fmt::format("fathom {}: {}", verb.name, verb.summary), width, 2));
  out += fmt::format("\nUsage: fathom {}{}{} [FLAGS]\n", verb.name, verb.arguments.empty() ? "" : " ", verb.arguments);
  if (!verb.about.empty()) out += fmt::format("\n{}\n", wrapped(verb.about, width));
  if (verb.scenario) out += fmt::format("\n{}\n", wrapped(scenario_help, width));
  return out + flags_help(verb);
}

}  // namespace fathom::cli
