// A conversation as the text that DeepSeek-V3.2 was trained on. The model has no chat template; its checkpoint brings an encoder,
// encoding/encoding_dsv32.py, and this is the same mapping. The result is text for Tokenizer::encode(), begin-of-sentence token included.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::executor {

enum class Role : std::uint8_t { system, user, assistant, tool, developer };

struct Argument {
  std::string name;
  std::string value;  // the string itself, or JSON
  bool is_string = false;
};
struct ToolCall {
  std::string name;
  std::vector<Argument> arguments;
};

struct Message {
  Role role = Role::user;
  std::string content;
  std::string reasoning;             // assistant: what it thought before it answered
  std::vector<ToolCall> tool_calls;  // assistant; one message of role tool must follow for each, in order
  std::vector<std::string> tools;    // system, developer: each function's description as JSON on one line
  std::string response_format;       // system, developer: a JSON schema, or empty
};

struct Conversation {
  std::string source;  // names the file in errors
  std::vector<Message> messages;
};

// A file of OpenAI-style messages: an array [{"role", "content", ...}], or an object {"messages": [...], "tools": [...]} whose tools go
// to the first message, which must be a system message. Throws Error{bad_file} "file: key: what is wrong".
Conversation parse_messages(std::string_view json, const std::string& file);

// The instructions around the descriptions of tools and around a response format. They belong to the checkpoint and are read from it.
struct Frame {
  std::string before, after;
};
struct PromptTexts {
  std::optional<Frame> tools, response_format;
};
// From the text of a checkpoint's encoding_dsv32.py. Throws Error{bad_file}.
PromptTexts parse_prompt_texts(std::string_view python, const std::string& file);
// From a checkpoint's folder; nothing where it has no such file.
PromptTexts read_prompt_texts(const std::filesystem::path& checkpoint);

enum class ThinkingMode : std::uint8_t { chat, thinking };

// After a user's (or developer's, or the last tool's) message the text ends where the model goes on: after <think> or </think>.
// Thinking mode shows the reasoning of assistant messages after the last user or developer message only; chat mode shows none.
// Throws Error{bad_file} for a conversation the encoding has no form for, or one that needs a text which `texts` lacks.
std::string encode_messages(const Conversation& conversation, ThinkingMode mode, const PromptTexts& texts = {});

}  // namespace fathom::executor
