#include "cli/app.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>

#include "cli/flags.h"

namespace fathom::cli {
namespace {

std::string hint(std::string_view word, const std::vector<std::string>& candidates) {
  const auto near = nearest(word, candidates);
  return near ? fmt::format(" (did you mean '{}'?)", *near) : "";
}

// The verb that the first one or two words name.
const Verb& verb_of(const std::vector<std::string>& arguments, std::size_t& used) {
  std::vector<std::string> singles, inner;
  const auto& first = arguments.front();
  for (const auto& verb : verbs()) {
    const auto words = split(verb.name, ' ');
    singles.emplace_back(words.front());
    if (words.front() == first && words.size() == 1) return used = 1, verb;
    if (words.front() == first) inner.emplace_back(words.back());
  }
  if (inner.empty()) throw Error(Failure::usage, fmt::format("there is no verb '{}'{}; `fathom --help` lists them", first, hint(first, singles)));
  const auto second = arguments.size() > 1 ? arguments[1] : std::string();
  if (const auto* verb = find_verb(first + " " + second)) return used = 2, *verb;
  const auto known = fmt::format("{} takes one of {}", first, fmt::join(inner, ", "));
  throw Error(Failure::usage, second.empty() || second.front() == '-' ? known : fmt::format("{}, not '{}'{}", known, second, hint(second, inner)));
}

struct Bound {
  const Flag* flag;
  CLI::Option* option;
};

std::vector<Bound> add_flags(CLI::App& app, const Verb& verb, std::deque<std::vector<std::string>>& storage) {
  std::vector<Bound> out;
  for (const auto& flag : flags()) {
    if (!takes(verb, flag)) continue;
    const std::string names(flag.names);
    if (flag.values == Values::none) {
      out.push_back({&flag, app.add_flag(names)});
      continue;
    }
    auto* option = app.add_option(names, storage.emplace_back())->allow_extra_args(false);
    option->expected(flag.values == Values::optional_text ? 0 : 1, 1);
    option->multi_option_policy(flag.repeatable ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::TakeLast);
    out.push_back({&flag, option});
  }
  return out;
}

void refuse_extras(const Verb& verb, const std::vector<std::string>& extras, const std::vector<Bound>& bound) {
  std::vector<std::string> known;
  for (const auto& b : bound) std::ranges::move(names_of(*b.flag), std::back_inserter(known));
  for (const auto& extra : extras) {
    if (extra.size() < 2 || extra.front() != '-') continue;
    const auto name = extra.substr(0, extra.find('='));
    throw Error(Failure::usage, fmt::format("{} has no flag {}{}; `fathom {} --help` lists them", verb.name, name, hint(name, known), verb.name));
  }
}

void note(Request& request, const Flag& flag, const std::vector<std::string>& values, const std::string& origin) {
  if (first_name(flag) == "set") {
    for (const auto& value : values) request.settings.push_back(setting_of(value));
  } else if (!flag.keys.empty()) {
    std::ranges::move(settings_of(flag, values.back(), origin), std::back_inserter(request.settings));
  } else {
    if (flag.values == Values::word || flag.values == Values::integer) static_cast<void>(settings_of(flag, values.back(), origin));  // checks the value
    request.options[std::string(first_name(flag))] = values;
  }
}

// `fathom estimate --explain plan.toml`: a file is no name of a step.
void free_scenario(Request& request) {
  const auto name = request.option("explain");
  if (!name.ends_with(".toml") || !request.arguments.empty()) return;
  request.arguments.push_back(name);
  request.options["explain"] = {""};
}

}  // namespace

Request parse_command_line(const std::vector<std::string>& arguments) {
  std::size_t used = 0;
  const auto& verb = verb_of(arguments, used);
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::deque<std::vector<std::string>> storage;
  auto bound = add_flags(app, verb, storage);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend() - static_cast<std::ptrdiff_t>(used)));  // takes them from the back
  } catch (const CLI::ParseError& e) { throw Error(Failure::usage, e.what()); }
  refuse_extras(verb, app.remaining(), bound);
  Request request{.verb = std::string(verb.name), .words = arguments, .arguments = app.remaining(), .settings = {}, .options = {}};
  for (const auto* option : app.parse_order()) {
    const auto b = std::ranges::find(bound, option, &Bound::option);
    if (b == bound.end()) continue;  // a flag given twice is listed twice
    const auto values = option->results();
    note(request, *b->flag, values.empty() ? std::vector<std::string>{""} : values, "--" + std::string(first_name(*b->flag)));
    bound.erase(b);
  }
  free_scenario(request);
  if (request.arguments.size() > verb.most_arguments)
    throw Error(Failure::usage, fmt::format("{} does not know what to do with '{}'", verb.name, request.arguments[verb.most_arguments]));
  return request;
}

}  // namespace fathom::cli
