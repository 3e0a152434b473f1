// Where a user keeps files of his own: they come before those that are built in.
#pragma once

#include <filesystem>
#include <set>
#include <string_view>

namespace fathom::model_spec {

// $XDG_CONFIG_HOME/fathom/<kind>, else $HOME/.config/fathom/<kind>; empty if neither is set. It need not exist.
std::filesystem::path user_folder(std::string_view kind);

// The .toml files of a folder, in order of name; none if there is no such folder.
std::set<std::filesystem::path> toml_files(const std::filesystem::path& folder);

}  // namespace fathom::model_spec
