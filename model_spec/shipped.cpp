#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "model_spec/embedded.h"
#include "model_spec/model.h"
#include "model_spec/toml.h"
#include "model_spec/user_folder.h"

namespace fathom::model_spec {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view built_in = "built in";
constexpr std::string_view template_name = "template.toml";  // a form to fill in, not a model

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

ModelSpec read_file(const fs::path& path) {
  const std::string text = read_text_file(path.string());
  return path.extension() == ".json" ? read_hf_config(text, path.string()) : read_model_toml(text, path.string());
}

// A user's file that does not read is listed by its file name: finding it then says what is wrong with it.
ModelSource user_source(const fs::path& path) {
  try {
    const ModelSpec m = read_file(path);
    return {m.name, m.aliases, path.string()};
  } catch (const Error&) { return {path.stem().string(), {}, path.string()}; }
}

const embedded::File* embedded_file(std::string_view name) {
  const auto files = embedded::model_specs();
  const auto found = std::find_if(files.begin(), files.end(), [&](const embedded::File& f) {
    return f.name != template_name && read_model_toml(f.text, std::string(f.name)).name == name;
  });
  return found == files.end() ? nullptr : &*found;
}

bool answers_to(const ModelSource& source, const std::string& lowered) {
  return lower(source.name) == lowered || std::any_of(source.aliases.begin(), source.aliases.end(), [&](const std::string& a) { return lower(a) == lowered; });
}

ModelSpec read_source(const ModelSource& source) {
  if (source.origin != built_in) return read_file(source.origin);
  const embedded::File* file = embedded_file(source.name);
  return read_model_toml(file->text, std::string(file->name));
}

ModelSpec read_folder(const fs::path& folder) {
  if (fs::exists(folder / "config.json")) return read_file(folder / "config.json");
  const auto specs = toml_files(folder);
  if (specs.size() == 1) return read_file(*specs.begin());
  throw Error(Failure::usage, fmt::format("{}: holds neither a config.json nor a single .toml", folder.string()));
}

[[noreturn]] void refuse_name(const std::string& name, const std::vector<ModelSource>& sources) {
  std::vector<std::string> candidates;
  std::string names;
  for (const auto& source : sources) {
    names += (names.empty() ? "" : ", ") + source.name;
    candidates.push_back(source.name);
    candidates.insert(candidates.end(), source.aliases.begin(), source.aliases.end());
  }
  const auto near = nearest(name, candidates);
  throw Error(Failure::usage, fmt::format("there is no model '{}'{}; known: {}; or give a .toml, a config.json or a folder that holds one", name,
                                          near ? fmt::format(" (did you mean '{}'?)", *near) : "", names));
}

}  // namespace

std::vector<ModelSource> list_models() {
  std::vector<ModelSource> out;
  for (const auto& path : toml_files(user_folder("models"))) out.push_back(user_source(path));
  for (const auto& file : embedded::model_specs()) {
    if (file.name == template_name) continue;
    const ModelSpec m = read_model_toml(file.text, std::string(file.name));
    out.push_back({m.name, m.aliases, std::string(built_in)});
  }
  return out;
}

ModelSpec find_model(const std::string& name_or_path) {
  const auto sources = list_models();
  const std::string lowered = lower(name_or_path);
  const auto found = std::find_if(sources.begin(), sources.end(), [&](const ModelSource& s) { return answers_to(s, lowered); });
  if (found != sources.end()) return read_source(*found);
  std::error_code none;
  if (fs::is_directory(name_or_path, none)) return read_folder(name_or_path);
  const fs::path path(name_or_path);
  if (fs::exists(path, none) || path.extension() == ".toml" || path.extension() == ".json") return read_file(path);
  refuse_name(name_or_path, sources);
}

}  // namespace fathom::model_spec
