#include "gui/models/command_line.h"

#include <algorithm>

#include "cli/flags.h"
#include "gui/models/value.h"

namespace fathom::gui {
namespace {

constexpr std::string_view prefill = "prefill.", decode = "decode.";

bool is_given(const Setting& s) { return s.origin != "built in" && s.origin != "derived"; }

bool has_twin(const std::vector<Setting>& all, const Setting& s, const std::string& key) {
  return std::ranges::any_of(all, [&](const Setting& o) { return o.key == key && o.origin == s.origin && o.literal == s.literal; });
}

// Settings in force name one phase each. Both from one line of the document: the line names neither phase, and so does the flag.
std::vector<Setting> as_given(const std::vector<Setting>& effective) {
  std::vector<Setting> out;
  for (auto s : effective) {
    if (!is_given(s) || (s.key == "decode_system" && has_twin(effective, s, "system"))) continue;
    const bool of_prefill = s.key.starts_with(prefill), of_decode = s.key.starts_with(decode);
    const auto rest = s.key.substr(of_prefill ? prefill.size() : of_decode ? decode.size() : 0);
    if (of_decode && has_twin(effective, s, std::string(prefill) + rest)) continue;
    if (of_prefill && has_twin(effective, s, std::string(decode) + rest)) s.key = rest;
    if (s.key == "model.name") s.key = "model";  // as the flag calls it
    out.push_back(std::move(s));
  }
  return out;
}

std::string quoted(const std::string& text) {
  constexpr std::string_view harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!text.empty() && text.find_first_not_of(harmless) == std::string::npos) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

// The text of a TOML string, any other literal as it is.
std::string plain(const std::string& literal) {
  const auto value = value_of(literal);
  const auto* text = std::get_if<std::string>(&value.data);
  return text ? *text : literal;
}

bool makes(const cli::Flag& flag, const std::string& value, const Setting& s) {
  try {
    const auto made = cli::settings_of(flag, value, {});
    return made.size() == 1 && made.front().key == s.key && made.front().literal == s.literal;
  } catch (const model_spec::Error&) { return false; }
}

// " --isl 8000", or nothing if no flag with a value makes this setting and no other.
std::string flag_text(const Setting& s) {
  const auto& estimate = *cli::find_verb("estimate");
  for (const auto& flag : cli::flags()) {
    if (flag.keys != s.key || flag.values == cli::Values::none || !cli::takes(estimate, flag)) continue;
    auto values = cli::typed_words(flag);
    if (flag.values != cli::Values::word) values = {plain(s.literal)};
    for (const auto& value : values)
      if (makes(flag, value, s)) return " --" + std::string(cli::first_name(flag)) + " " + quoted(value);
  }
  return {};
}

}  // namespace

std::string command_line(const Answer& a) {
  std::string out = "fathom estimate";
  for (const auto& s : as_given(a.settings)) {
    const auto flag = flag_text(s);
    out += flag.empty() ? " --set " + quoted(s.key + "=" + s.literal) : flag;
  }
  return out;
}

}  // namespace fathom::gui
