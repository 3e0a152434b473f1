// JSON of files that nobody vouches for: parsed with bounds, read key by key, refused in one line "file: key: what is wrong".
// Templates on the kind of JSON: nlohmann::json finds a key fast, nlohmann::ordered_json keeps the order of the file.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "model_spec/error.h"

namespace fathom::executor {

[[noreturn]] inline void refuse(const std::string& file, const std::string& key, std::string_view what) {
  throw model_spec::Error(model_spec::Failure::bad_file, key.empty() ? fmt::format("{}: {}", file, what) : fmt::format("{}: {}: {}", file, key, what));
}

// Bounds, so that a small file cannot cost much time or stack; far above what any file of this kind holds.
struct JsonBounds {
  std::size_t bytes = 16u << 20;  // what read_text_file() reads
  int nesting = 64;
  std::size_t keys = 1u << 10;  // in one object
};

// Refuses a key given twice in one object: readers differ on which of them counts.
template <typename Json>
Json parse_json(std::string_view text, const std::string& file, const JsonBounds& bounds) {
  if (text.size() > bounds.bytes) refuse(file, "", fmt::format("larger than {} MiB", bounds.bytes >> 20));
  std::vector<std::unordered_set<std::string>> open;  // keys of the objects around the parser's place
  const auto check = [&](int depth, typename Json::parse_event_t event, Json& value) {
    if (depth > bounds.nesting) refuse(file, "", fmt::format("more than {} brackets inside one another", bounds.nesting));
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event != Json::parse_event_t::key) return true;
    if (!open.back().insert(value.template get<std::string>()).second) refuse(file, "", fmt::format("the key {} is given twice in one object", value.dump()));
    if (open.back().size() > bounds.keys) refuse(file, "", fmt::format("more than {} keys in one object", bounds.keys));
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const nlohmann::json::exception& e) {
    const std::string_view what = e.what();  // "[json.exception.name.number] what is wrong"
    refuse(file, "", what.substr(what.find("] ") + 2));
  }
}

// One object of a file. Ask for every key that may stand there; finish() refuses the others. A null counts as an absent key.
template <typename Json>
class Fields {
 public:
  Fields(const Json& object, std::string file, std::string path) : object_(object), file_(std::move(file)), path_(std::move(path)) {
    if (!object.is_object()) executor::refuse(file_, path_, "must be an object");
  }

  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] std::string path(std::string_view key) const { return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key); }
  [[noreturn]] void refuse(std::string_view key, std::string_view what) const { executor::refuse(file_, path(key), what); }

  const Json* find(std::string_view key) {
    asked_.insert(std::string(key));
    const auto at = object_.find(std::string(key));
    return at == object_.end() || at->is_null() ? nullptr : &*at;
  }
  const Json& get(std::string_view key) {
    const Json* value = find(key);
    if (value == nullptr) refuse(key, "is missing");
    return *value;
  }
  std::string string(std::string_view key) {
    const Json& value = get(key);
    if (!value.is_string()) refuse(key, "must be a string");
    return value.template get<std::string>();
  }
  std::string string_or(std::string_view key, std::string fallback) { return find(key) == nullptr ? fallback : string(key); }
  bool boolean_or(std::string_view key, bool fallback) {
    const Json* value = find(key);
    if (value != nullptr && !value->is_boolean()) refuse(key, "must be true or false");
    return value == nullptr ? fallback : value->template get<bool>();
  }
  const Json& array(std::string_view key) {
    const Json& value = get(key);
    if (!value.is_array()) refuse(key, "must be an array");
    return value;
  }
  // Each element of an array with its path; an absent array counts as empty.
  template <typename Body>
  void each(std::string_view key, const Body& body) {
    if (find(key) == nullptr) return;
    std::size_t index = 0;
    for (const Json& element : array(key)) body(element, fmt::format("{}[{}]", path(key), index++));
  }
  // Keys whose value must be this one, or absent, because another would change the result in a way that is not built here.
  void only(std::string_view key, const Json& understood) {
    const Json* value = find(key);
    if (value != nullptr && *value != understood) refuse(key, fmt::format("only {} is understood", understood.dump()));
  }
  void ignore(std::initializer_list<std::string_view> keys) {
    for (const auto key : keys) asked_.insert(std::string(key));
  }
  void finish() const {
    for (const auto& [key, value] : object_.items()) {
      if (!asked_.contains(key)) refuse(key, "is not understood");
    }
  }

 private:
  const Json& object_;
  std::string file_, path_;
  std::unordered_set<std::string> asked_;
};

}  // namespace fathom::executor
