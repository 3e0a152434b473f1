#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <iterator>

#include "cli/flags.h"
#include "cli/output.h"
#include "cli/tables.h"
#include "cli/verbs.h"
#include "model_spec/user_folder.h"

namespace fathom::cli {
namespace {

void append_file(const std::string& path, std::vector<Setting>& out) {
  const auto settings = path == "-" ? parse_settings(std::string(std::istreambuf_iterator<char>(std::cin), {}), "stdin") : read_settings(path);
  out.insert(out.end(), settings.begin(), settings.end());
}

// What the user left lying around counts if it is there.
void append_if_any(const std::filesystem::path& path, std::vector<Setting>& out) {
  std::error_code none;
  if (!path.empty() && std::filesystem::is_regular_file(path, none)) append_file(path.string(), out);
}

// A scenario file: keys in tables would be shorter, but a line by itself says what it sets.
std::string as_toml(const std::vector<Setting>& settings, bool with_origins) {
  std::string out;
  for (const auto& s : settings) {
    const auto line = fmt::format("{} = {}", s.key, s.literal);
    out += with_origins ? fmt::format("{:<48}  # {}\n", line, s.origin) : line + "\n";
  }
  return out;
}

}  // namespace

std::vector<Setting> all_settings(const Request& request, std::vector<std::string>& remarks) {
  std::vector<Setting> out;
  append_if_any(user_folder("config.toml"), out);
  append_if_any("fathom.toml", out);
  if (request.has("config")) append_file(request.option("config"), out);
  if (!request.arguments.empty()) append_file(request.arguments.front(), out);
  for (const auto& layer : {environment_settings(remarks), request.settings}) out.insert(out.end(), layer.begin(), layer.end());
  return out;
}

std::string needed_argument(const Request& request, std::string_view what) {
  if (request.arguments.empty()) throw Error(Failure::usage, fmt::format("{}: {} is missing", request.verb, what));
  return request.arguments.front();
}

Outcome run_config(const Request& request) {
  Outcome out;
  const auto effective = effective_settings(all_settings(request, out.remarks));
  auto table = settings_table(effective);
  table.machines_only = false;
  const auto format = request.option("format", "table");
  Report report{.answer = {}, .tables = {table}, .notes = {}, .csv = {}};
  out.data = format == "table" ? as_toml(effective, request.has("origin")) : rendered(report, request);
  return out;
}

}  // namespace fathom::cli
