// Profiles and calibrations by name: the user's folder first ($XDG_CONFIG_HOME/fathom/systems), then those compiled in.
#include <fmt/core.h>

#include <algorithm>
#include <cctype>

#include "hardware_profiles/profile.h"
#include "model_spec/embedded.h"
#include "model_spec/toml.h"
#include "model_spec/user_folder.h"

namespace fathom::hardware_profiles {

namespace {

constexpr std::string_view built_in = "built in", calibrations = "calibrations/", speed_of_light = "speed_of_light";

// A file that may be read: `text` is empty for a user's, which is read when it is wanted.
struct Candidate {
  std::string name;  // of the file, without folder and extension
  std::string origin;
  std::string_view text;
};

std::vector<Candidate> candidates(bool of_calibrations) {
  std::vector<Candidate> out;
  const auto folder = user_folder("systems");
  for (const auto& path : toml_files(of_calibrations ? folder / calibrations : folder)) out.push_back({path.stem().string(), path.string(), {}});
  for (const auto& file : embedded::hardware_profiles()) {
    if (file.name.starts_with(calibrations) != of_calibrations) continue;
    std::string name(file.name.substr(of_calibrations ? calibrations.size() : 0));
    out.push_back({name.substr(0, name.size() - std::string_view(".toml").size()), std::string(built_in), file.text});
  }
  return out;
}

// Case does not matter, and h100-sxm is h100_sxm.
std::string plain(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_path(const std::string& name) { return name.find('/') != std::string::npos || name.ends_with(".toml"); }

template <class Read>
auto read(const Candidate& c, const Read& reader) {
  return c.text.empty() ? reader(read_text_file(c.origin), c.origin) : reader(c.text, c.name + ".toml (built in)");
}

// A user's file that does not read is listed all the same: asking for it says what is wrong with it.
ProfileSource source_of(const Candidate& c) {
  try {
    const auto p = read(c, read_profile);
    return {p.name, p.aliases, p.description, c.origin};
  } catch (const Error&) { return {c.name, {}, "cannot be read: see `profiles check`", c.origin}; }
}

bool answers_to(const Candidate& c, const ProfileSource& source, const std::string& wanted) {
  const auto matches = [&](const std::string& name) { return plain(name) == wanted; };
  return matches(c.name) || matches(source.name) || std::any_of(source.aliases.begin(), source.aliases.end(), matches);
}

// Every roof at its datasheet peak, and kernels that cost nothing.
Calibration light() {
  Calibration c{.name = std::string(speed_of_light), .kernel_set = "none", .date = {}, .versions = {}, .origin = std::string(built_in), .entries = {}};
  Efficiency peak;
  peak.compute = peak.memory = Curve(1);
  peak.provenance = Provenance::datasheet;
  peak.source = "every roof at its datasheet peak";
  for (auto& family : c.entries) family[static_cast<std::size_t>(Arithmetic::fp32)] = peak;
  return c;
}

[[noreturn]] void refuse(std::string_view kind, const std::string& name, const std::vector<std::string>& names, const std::string& known) {
  const auto near = nearest(name, names);
  throw Error(Failure::usage, fmt::format("there is no {} '{}'{}; known: {}; or give the path of a .toml", kind, name,
                                          near ? fmt::format(" (did you mean '{}'?)", *near) : "", known));
}

}  // namespace

std::vector<ProfileSource> list_profiles() {
  std::vector<ProfileSource> out;
  for (const auto& c : candidates(false)) out.push_back(source_of(c));
  return out;
}

HardwareProfile find_profile(const std::string& name_or_path) {
  if (is_path(name_or_path)) return read_profile(read_text_file(name_or_path), name_or_path);
  const auto wanted = plain(name_or_path);
  const auto all = candidates(false);
  for (const auto& c : all)  // a built-in file is named after its profile: no other is read on the way to it
    if (c.text.empty() ? answers_to(c, source_of(c), wanted) : plain(c.name) == wanted) return read(c, read_profile);
  std::vector<std::string> names;
  std::string known;
  for (const auto& c : all) {
    const auto source = source_of(c);
    if (answers_to(c, source, wanted)) return read(c, read_profile);
    known += (known.empty() ? "" : ", ") + source.name;
    names.push_back(source.name);
    names.insert(names.end(), source.aliases.begin(), source.aliases.end());
  }
  refuse("hardware profile", name_or_path, names, known);
}

Calibration find_calibration(const std::string& name_or_path) {
  if (is_path(name_or_path)) return read_calibration(read_text_file(name_or_path), name_or_path);
  if (plain(name_or_path) == speed_of_light) return light();
  std::vector<std::string> names{std::string(speed_of_light)};
  std::string known(speed_of_light);
  for (const auto& c : candidates(true)) {
    if (plain(c.name) == plain(name_or_path)) return read(c, read_calibration);
    known += ", " + c.name;
    names.push_back(c.name);
  }
  refuse("calibration", name_or_path, names, known);
}

}  // namespace fathom::hardware_profiles
