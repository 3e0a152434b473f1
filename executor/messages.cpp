// The encoding itself. Its marks are those of DeepSeek-V3.2's encoding_dsv32.py: the model knows no others.
#include "executor/messages.h"

#include <fmt/core.h>

#include <algorithm>

#include "executor/strict_json.h"
#include "model_spec/toml.h"

namespace fathom::executor {

namespace {

constexpr std::string_view begin_of_sentence = "<｜begin▁of▁sentence｜>", end_of_sentence = "<｜end▁of▁sentence｜>";
constexpr std::string_view user_mark = "<｜User｜>", assistant_mark = "<｜Assistant｜>";
constexpr std::string_view think_begin = "<think>", think_end = "</think>";
constexpr std::string_view dsml = "｜DSML｜";  // stands in the tags of tool calls, so that no text looks like one by chance

// Where in the conversation the encoder is.
struct Place {
  const Conversation& conversation;
  std::size_t index;        // of the message
  std::ptrdiff_t last_ask;  // index of the last user or developer message, or -1
  ThinkingMode mode;
  const PromptTexts& texts;

  [[nodiscard]] const Message& message() const { return conversation.messages[index]; }
  [[nodiscard]] bool thinks_since(std::ptrdiff_t first) const { return mode == ThinkingMode::thinking && static_cast<std::ptrdiff_t>(index) >= first; }
  [[noreturn]] void refuse(std::string_view what) const { executor::refuse(conversation.source, fmt::format("messages[{}]", index), what); }
};

std::string_view answer_begin(const Place& at) { return at.thinks_since(at.last_ask) ? think_begin : think_end; }

std::string framed(const Place& at, const std::optional<Frame>& frame, std::string_view key, std::string_view content) {
  if (!frame) at.refuse(fmt::format("{}: the text around it is missing: the checkpoint has no encoding/encoding_dsv32.py", key));
  return fmt::format("\n\n{}{}{}", frame->before, content, frame->after);
}

std::string instructions(const Place& at) {
  const Message& m = at.message();
  std::string schemas, out;
  for (const auto& tool : m.tools) schemas += (schemas.empty() ? "" : "\n") + tool;
  if (!m.tools.empty()) out += framed(at, at.texts.tools, "tools", schemas);
  if (!m.response_format.empty()) out += framed(at, at.texts.response_format, "response_format", m.response_format);
  return out;
}

std::string encode_call(const ToolCall& call) {
  std::string out = fmt::format("<{}invoke name=\"{}\">\n", dsml, call.name);
  for (std::size_t i = 0; i < call.arguments.size(); ++i) {
    const Argument& a = call.arguments[i];
    out += fmt::format("{}<{}parameter name=\"{}\" string=\"{}\">{}</{}parameter>", i == 0 ? "" : "\n", dsml, a.name, a.is_string, a.value, dsml);
  }
  return out + fmt::format("\n</{}invoke>\n", dsml);
}

std::string encode_assistant(const Place& at) {
  const Message& m = at.message();
  std::string out;
  if (at.thinks_since(at.last_ask + 1)) {
    if (m.reasoning.empty() && m.tool_calls.empty()) at.refuse("in thinking mode an answer to the last user message needs reasoning_content or tool_calls");
    out += fmt::format("{}{}", m.reasoning, think_end);
  }
  out += m.content;
  if (!m.tool_calls.empty()) out += fmt::format("\n\n<{}function_calls>\n", dsml);
  for (const auto& call : m.tool_calls) out += encode_call(call);
  if (!m.tool_calls.empty()) out += fmt::format("</{}function_calls>", dsml);
  return out.append(end_of_sentence);
}

std::string encode_ask(const Place& at, std::string_view text) { return fmt::format("{}{}{}{}", user_mark, text, assistant_mark, answer_begin(at)); }

std::string encode_developer(const Place& at) {
  if (at.message().content.empty()) at.refuse("a developer message needs content");
  return encode_ask(at, fmt::format("{}\n\n# The user's message is: {}", instructions(at), at.message().content));
}

// `open`: results still missing before this one, of `all`.
std::string encode_result(const Place& at, std::size_t open, std::size_t all) {
  std::string out = fmt::format("{}\n<result>{}</result>", open == all ? "\n\n<function_results>" : "", at.message().content);
  if (open == 1) out += fmt::format("\n</function_results>\n\n{}", answer_begin(at));
  return out;
}

// Counts the results that tool calls wait for.
struct Results {
  std::size_t open = 0, all = 0;

  void see(const Place& at) {
    const Message& m = at.message();
    if (m.role == Role::tool && open == 0) at.refuse("is a tool's result, but no tool call waits for one");
    if (m.role != Role::tool && open > 0) at.refuse(fmt::format("comes before the results of {} of {} tool calls", open, all));
  }
  void done(const Message& m) {
    if (m.role == Role::tool) --open;
    else open = all = m.tool_calls.size();
  }
};

std::string encode_one(const Place& at, const Results& results) {
  switch (at.message().role) {
    case Role::system: return at.message().content + instructions(at);
    case Role::user: return encode_ask(at, at.message().content);
    case Role::developer: return encode_developer(at);
    case Role::assistant: return encode_assistant(at);
    case Role::tool: return encode_result(at, results.open, results.all);
  }
  return {};
}

bool asks(const Message& m) { return m.role == Role::user || m.role == Role::developer; }

// The value of `name = "..."` or `name = """..."""` at the beginning of a line of Python.
std::string python_string(std::string_view source, const std::string& file, const std::string& name) {
  std::size_t at = source.starts_with(name) ? 0 : source.find("\n" + name);
  at = source.find('"', std::min(at, source.size()));
  if (at == std::string_view::npos) refuse(file, name, "is missing");
  const std::string_view quote = source.substr(at).starts_with("\"\"\"") ? "\"\"\"" : "\"";
  std::string out;
  for (at += quote.size(); at < source.size() && !source.substr(at).starts_with(quote); ++at) {
    if (source[at] != '\\') {
      out += source[at];
      continue;
    }
    const char escaped = ++at < source.size() ? source[at] : ' ';
    if (std::string_view("n\"'\\").find(escaped) == std::string_view::npos) refuse(file, name, fmt::format("the escape \\{} is not understood", escaped));
    out += escaped == 'n' ? '\n' : escaped;
  }
  if (at >= source.size()) refuse(file, name, "does not end");
  return out;
}

// A format text of Python, cut at {place}; the encoder's other names in braces become what they stand for.
Frame frame_of(std::string_view text, const std::string& file, const std::string& name, std::string_view place) {
  Frame out;
  bool cut = false;
  while (true) {
    const std::size_t open = text.find('{');
    (cut ? out.after : out.before).append(text.substr(0, open));
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) refuse(file, name, "does not close a {");
    const std::string_view key = text.substr(open + 1, close - open - 1);
    if (key == place && !cut) cut = true;
    else if (key == "dsml_token") (cut ? out.after : out.before).append(dsml);
    else if (key == "thinking_start_token") (cut ? out.after : out.before).append(think_begin);
    else if (key == "thinking_end_token") (cut ? out.after : out.before).append(think_end);
    else refuse(file, name, fmt::format("{{{}}} is not understood", key));
    text.remove_prefix(close + 1);
  }
  if (!cut) refuse(file, name, fmt::format("has no {{{}}}", place));
  return out;
}

}  // namespace

std::string encode_messages(const Conversation& conversation, ThinkingMode mode, const PromptTexts& texts) {
  const auto& messages = conversation.messages;
  const auto last = std::find_if(messages.rbegin(), messages.rend(), asks);
  const std::ptrdiff_t last_ask = messages.rend() - last - 1;
  std::string out(begin_of_sentence);
  Results results;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Place at{conversation, i, last_ask, mode, texts};
    results.see(at);
    out += encode_one(at, results);
    results.done(messages[i]);
  }
  if (results.open > 0 && messages.back().role == Role::tool)
    refuse(conversation.source, "messages", fmt::format("end before the results of {} of {} tool calls", results.open, results.all));
  return out;
}

PromptTexts parse_prompt_texts(std::string_view python, const std::string& file) {
  const auto frame = [&](const std::string& name, std::string_view place) { return frame_of(python_string(python, file, name), file, name, place); };
  return {.tools = frame("TOOLS_SYSTEM_TEMPLATE", "tool_schemas"), .response_format = frame("response_format_template", "schema")};
}

PromptTexts read_prompt_texts(const std::filesystem::path& checkpoint) {
  const auto path = checkpoint / "encoding" / "encoding_dsv32.py";
  return std::filesystem::exists(path) ? parse_prompt_texts(model_spec::read_text_file(path.string()), path.string()) : PromptTexts{};
}

}  // namespace fathom::executor
