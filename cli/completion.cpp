// Completion scripts, made from the tables of verbs and flags.
#include <fmt/format.h>

#include <algorithm>

#include "cli/help.h"

namespace fathom::cli {
namespace {

std::vector<std::string> first_words() {
  std::vector<std::string> out;
  for (const auto& verb : verbs()) {
    const std::string word(split(verb.name, ' ').front());
    if (std::ranges::find(out, word) == out.end()) out.push_back(word);
  }
  return out;
}

std::vector<std::string> second_words(std::string_view first) {
  std::vector<std::string> out;
  for (const auto& verb : verbs()) {
    const auto words = split(verb.name, ' ');
    if (words.size() == 2 && words.front() == first) out.emplace_back(words.back());
  }
  return out;
}

std::vector<std::string> flag_names(const Verb& verb) {
  std::vector<std::string> out;
  for (const auto& flag : flags())
    if (takes(verb, flag)) std::ranges::move(names_of(flag), std::back_inserter(out));
  return out;
}

// Choices for the value of a flag: words, or a command that lists names.
std::string value_choices(const Flag& flag) {
  if (flag.values == Values::word) return fmt::format("{}", fmt::join(typed_words(flag), " "));
  const auto name = first_name(flag);
  if (name == "model") return "$(fathom spec list --format csv 2>/dev/null | sed 1d | cut -d, -f1)";
  if (name == "system" || name == "decode-system" || name == "compare") return "$(fathom profiles list --format csv 2>/dev/null | sed 1d | cut -d, -f1)";
  return {};
}

std::string bash() {
  std::string out =
      "# bash completion for fathom\n_fathom() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} words=\n"
      "  case $prev in\n";
  for (const auto& flag : flags())
    if (const auto choices = value_choices(flag); !choices.empty()) {
      out += fmt::format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")); return ;;\n", fmt::join(names_of(flag), "|"), choices);
    }
  out +=
      fmt::format("  esac\n  if [[ $COMP_CWORD == 1 ]]; then\n    words=\"{} --help --version\"\n  else\n    case $verb in\n", fmt::join(first_words(), " "));
  for (const auto& first : first_words()) {
    const auto inner = second_words(first);
    if (inner.empty()) {
      out += fmt::format("      {}) words=\"{}\" ;;\n", first, fmt::join(flag_names(*find_verb(first)), " "));
      continue;
    }
    out += fmt::format("      {}) if [[ $COMP_CWORD == 2 ]]; then words=\"{}\"; else case ${{COMP_WORDS[2]}} in\n", first, fmt::join(inner, " "));
    for (const auto& second : inner)
      out += fmt::format("          {}) words=\"{}\" ;;\n", second, fmt::join(flag_names(*find_verb(first + " " + second)), " "));
    out += "        esac; fi ;;\n";
  }
  return out +
         "    esac\n  fi\n  if [[ $verb == completion ]]; then words=\"bash zsh fish\"; fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\n"
         "complete -o default -F _fathom fathom\n";
}

std::string fish() {
  std::string out = fmt::format("# fish completion for fathom\ncomplete -c fathom -n __fish_use_subcommand -a \"{}\"\n", fmt::join(first_words(), " "));
  out += "complete -c fathom -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'\n";
  for (const auto& first : first_words())
    if (const auto inner = second_words(first); !inner.empty())
      out += fmt::format("complete -c fathom -n '__fish_seen_subcommand_from {}' -a \"{}\"\n", first, fmt::join(inner, " "));
  for (const auto& verb : verbs()) {
    for (const auto& flag : flags()) {
      if (!takes(verb, flag)) continue;
      std::string names;
      for (const auto& name : names_of(flag)) names += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2)) : fmt::format(" -s {}", name.substr(1));
      const auto choices = value_choices(flag);
      const auto value = flag.values == Values::none || flag.values == Values::optional_text ? std::string()
                         : choices.empty()                                                   ? " -r"
                         : choices.starts_with("$")                                          ? fmt::format(" -x -a \"{}\"", choices.substr(1))
                                                                                             : fmt::format(" -x -a \"{}\"", choices);
      out += fmt::format("complete -c fathom -n '__fish_seen_subcommand_from {}'{}{}\n", split(verb.name, ' ').back(), names, value);
    }
  }
  return out;
}

}  // namespace

std::string completion(const std::string& shell) {
  if (shell == "bash") return bash();
  if (shell == "zsh") return "#compdef fathom\nautoload -U +X bashcompinit && bashcompinit\n" + bash();
  if (shell == "fish") return fish();
  throw Error(Failure::usage, fmt::format("'{}' is not one of bash, zsh, fish", shell));
}

}  // namespace fathom::cli
