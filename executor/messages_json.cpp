// The file format of conversations: OpenAI-style messages, with reasoning_content, and with tools and response_format at a message.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "executor/messages.h"
#include "executor/strict_json.h"

namespace fathom::executor {

namespace {

using Json = nlohmann::ordered_json;  // arguments and schemas keep their order
using Reader = Fields<Json>;

constexpr JsonBounds bounds{};

// As Python writes it. nlohmann-json agrees but from 1e15 to 1e16, where it takes an exponent already.
std::string python_number(const Json& value) {
  const double v = value.get<double>();
  if (!value.is_number_float() || std::abs(v) < 1e15 || std::abs(v) >= 1e16) return value.dump();
  std::array<char, 32> text{};
  const std::string digits(text.data(), std::to_chars(text.begin(), text.end(), v, std::chars_format::fixed).ptr);
  return digits.find('.') == std::string::npos ? digits + ".0" : digits;
}

// JSON as Python's json.dumps(ensure_ascii=False) writes it, which is what the model saw: on one line, ", " and ": " between the parts.
std::string python_json(const Json& value) {
  if (value.is_number()) return python_number(value);
  if (!value.is_structured()) return value.dump();
  std::string out;
  for (const auto& [key, part] : value.items()) {
    if (!out.empty()) out += ", ";
    if (value.is_object()) out += Json(key).dump() + ": ";
    out += python_json(part);
  }
  return value.is_object() ? "{" + out + "}" : "[" + out + "]";
}

// Arguments arrive as JSON within a string.
std::vector<Argument> read_arguments(Reader& function) {
  const std::string where = fmt::format("{}: {}", function.file(), function.path("arguments"));
  const Json object = parse_json<Json>(function.string("arguments"), where, bounds);
  if (!object.is_object()) function.refuse("arguments", "must hold a JSON object");
  std::vector<Argument> out;
  for (const auto& [name, value] : object.items()) {
    out.push_back({.name = name, .value = value.is_string() ? value.get<std::string>() : python_json(value), .is_string = value.is_string()});
  }
  return out;
}

// {"type": "function", "function": ...}, the form of tools and of tool calls alike.
const Json& function_of(Reader& in) {
  in.only("type", "function");
  const Json& function = in.get("function");
  if (!function.is_object()) in.refuse("function", "must be an object");
  return function;
}

std::vector<std::string> read_tools(Reader& in) {
  std::vector<std::string> out;
  in.each("tools", [&](const Json& element, const std::string& path) {
    Reader tool(element, in.file(), path);
    out.push_back(python_json(function_of(tool)));
    tool.finish();
  });
  return out;
}

std::string read_format(Reader& in) {
  const Json* format = in.find("response_format");
  if (format != nullptr && !format->is_object()) in.refuse("response_format", "must be an object");
  return format == nullptr || format->empty() ? "" : python_json(*format);
}

std::vector<ToolCall> read_tool_calls(Reader& in) {
  std::vector<ToolCall> out;
  in.each("tool_calls", [&](const Json& element, const std::string& path) {
    Reader call(element, in.file(), path);
    Reader function(function_of(call), in.file(), call.path("function"));
    out.push_back({.name = function.string("name"), .arguments = read_arguments(function)});
    function.finish();
    call.ignore({"id", "index"});  // results belong to calls by their order
    call.finish();
  });
  return out;
}

Role read_role(Reader& in) {
  constexpr std::array<std::string_view, 5> names = {"system", "user", "assistant", "tool", "developer"};  // in the order of Role
  const std::string name = in.string("role");
  const auto* const found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) in.refuse("role", fmt::format("{} is not understood", Json(name).dump()));
  return static_cast<Role>(found - names.begin());
}

Message read_message(Reader in) {
  Message m;
  m.role = read_role(in);
  const bool instructs = m.role == Role::system || m.role == Role::developer;
  const bool may_be_silent = m.role == Role::system || m.role == Role::assistant;
  m.content = may_be_silent ? in.string_or("content", "") : in.string("content");
  if (instructs) m.tools = read_tools(in);
  if (instructs) m.response_format = read_format(in);
  if (m.role == Role::assistant) {
    m.reasoning = in.string_or("reasoning_content", "");
    m.tool_calls = read_tool_calls(in);
  }
  if (m.role == Role::tool) in.ignore({"tool_call_id", "name"});  // results belong to calls by their order
  in.finish();
  return m;
}

}  // namespace

Conversation parse_messages(std::string_view json, const std::string& file) {
  Json root = parse_json<Json>(json, file, bounds);
  if (root.is_array()) root = Json::object({{"messages", std::move(root)}});
  Reader in(root, file, "");
  Conversation out{.source = file, .messages = {}};
  if (in.array("messages").empty()) in.refuse("messages", "is empty");
  in.each("messages", [&](const Json& element, const std::string& path) { out.messages.push_back(read_message({element, file, path})); });
  if (auto tools = read_tools(in); !tools.empty()) {
    Message& first = out.messages.front();
    if (first.role != Role::system) in.refuse("tools", "need a system message at the beginning");
    if (!first.tools.empty()) in.refuse("tools", "are given at messages[0] too");
    first.tools = std::move(tools);
  }
  in.finish();
  return out;
}

}  // namespace fathom::executor
