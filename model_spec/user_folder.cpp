#include "model_spec/user_folder.h"

#include <cstdlib>

namespace fathom::model_spec {

namespace fs = std::filesystem;

fs::path user_folder(std::string_view kind) {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && *config != '\0') return fs::path(config) / "fathom" / kind;
  const char* home = std::getenv("HOME");
  return home != nullptr ? fs::path(home) / ".config" / "fathom" / kind : fs::path();
}

std::set<fs::path> toml_files(const fs::path& folder) {
  std::set<fs::path> out;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".toml") out.insert(entry.path());
  }
  return out;
}

}  // namespace fathom::model_spec
