#include "executor/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "model_spec/error.h"

namespace fathom::executor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The shape of a checkpoint's encoder file, with words of our own.
constexpr std::string_view python = R"py(import json

TOOLS_SYSTEM_TEMPLATE = """## Tools

Write "<{dsml_token}function_calls>" to call; {thinking_start_token}think{thinking_end_token}.
<functions>
{tool_schemas}
</functions>
"""

eos_token: str = "<end>"
response_format_template: str = (
    "## Format:\n\nAs \"this\":\n{schema}"
)
)py";

const PromptTexts texts = parse_prompt_texts(python, "encoding_dsv32.py");

std::string encode(const std::string& json, ThinkingMode mode, const PromptTexts& with = texts) {
  return encode_messages(parse_messages(json, "chat.json"), mode, with);
}
std::string chat(const std::string& json) { return encode(json, ThinkingMode::chat); }
std::string thinking(const std::string& json) { return encode(json, ThinkingMode::thinking); }

std::string error_of(const std::function<void()>& f) {
  try {
    f();
    return "";
  } catch (const model_spec::Error& e) {
    EXPECT_EQ(e.failure(), model_spec::Failure::bad_file);
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what();
  }
}
std::string chat_error(const std::string& json) {
  return error_of([&] { chat(json); });
}

TEST(Messages, OneQuestion) {
  EXPECT_EQ(chat(R"([{"role": "user", "content": "Hi"}])"), "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜></think>");
  EXPECT_EQ(thinking(R"([{"role": "user", "content": "Hi"}])"), "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>");
  EXPECT_EQ(chat(R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])"),
            "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜></think>");
}

TEST(Messages, EarlierReasoningIsDropped) {
  const std::string json = R"([
    {"role": "user", "content": "1+1?"}, {"role": "assistant", "reasoning_content": "easy", "content": "2"},
    {"role": "user", "content": "sure?"}, {"role": "assistant", "reasoning_content": "yes", "content": "Yes."}])";
  const std::string first = "<｜begin▁of▁sentence｜><｜User｜>1+1?<｜Assistant｜></think>2<｜end▁of▁sentence｜><｜User｜>sure?<｜Assistant｜>";
  EXPECT_EQ(thinking(json), first + "<think>yes</think>Yes.<｜end▁of▁sentence｜>");
  EXPECT_EQ(chat(json), first + "</think>Yes.<｜end▁of▁sentence｜>");
}

// Two calls, then their results, then one more; the question before is older.
const std::string tool_turns = R"([
  {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"},
  {"role": "user", "content": "Weather?"},
  {"role": "assistant", "content": null, "reasoning_content": "look", "tool_calls": [
    {"id": "1", "type": "function", "function": {"name": "get", "arguments": "{\"city\": \"Åre\", \"days\": 2, \"opt\": {\"b\":[1,2.50,null],\"a\":\"\\u00e9\\n\"}}"}},
    {"id": "2", "type": "function", "function": {"name": "now", "arguments": "{}"}}]},
  {"role": "tool", "tool_call_id": "1", "content": "sunny"}, {"role": "tool", "tool_call_id": "2", "content": "noon"}])";

TEST(Messages, ToolCallsAndTheirResults) {
  EXPECT_EQ(thinking(tool_turns),
            R"(<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜></think>Hello<｜end▁of▁sentence｜><｜User｜>Weather?<｜Assistant｜><think>look</think>

<｜DSML｜function_calls>
<｜DSML｜invoke name="get">
<｜DSML｜parameter name="city" string="true">Åre</｜DSML｜parameter>
<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>
<｜DSML｜parameter name="opt" string="false">{"b": [1, 2.5, null], "a": "é\n"}</｜DSML｜parameter>
</｜DSML｜invoke>
<｜DSML｜invoke name="now">

</｜DSML｜invoke>
</｜DSML｜function_calls><｜end▁of▁sentence｜>

<function_results>
<result>sunny</result>
<result>noon</result>
</function_results>

<think>)");
  EXPECT_THAT(chat(tool_turns), HasSubstr("<｜Assistant｜></think>\n\n<｜DSML｜function_calls>"));
  EXPECT_TRUE(chat(tool_turns).ends_with("</function_results>\n\n</think>"));
}

TEST(Messages, ToolCallsAndResultsBeforeTheLastQuestionStay) {
  const std::string json = tool_turns.substr(0, tool_turns.size() - 1) + R"(, {"role": "assistant", "reasoning_content": "so", "content": "Sunny."},
    {"role": "user", "content": "Thanks"}])";
  EXPECT_THAT(thinking(json), HasSubstr("Weather?<｜Assistant｜></think>\n\n<｜DSML｜function_calls>\n"));
  EXPECT_THAT(thinking(json), HasSubstr("\n</function_results>\n\n</think>Sunny.<｜end▁of▁sentence｜><｜User｜>Thanks<｜Assistant｜><think>"));
}

constexpr std::string_view tool = R"({"type": "function", "function": {"name": "get", "parameters": {"type":"object","properties":{}}}})";

TEST(Messages, ToolsAndFormatFollowTheSystemMessage) {
  const std::string json = R"([{"role": "system", "content": "S", "tools": [)" + std::string(tool) + ", " + std::string(tool) +
                           R"(], "response_format": {"type":"json_object"}}, {"role": "user", "content": "Hi"}])";
  const std::string schema = R"({"name": "get", "parameters": {"type": "object", "properties": {}}})";
  EXPECT_EQ(chat(json), "<｜begin▁of▁sentence｜>S\n\n## Tools\n\nWrite \"<｜DSML｜function_calls>\" to call; <think>think</think>.\n<functions>\n" + schema +
                            "\n" + schema + "\n</functions>\n\n\n## Format:\n\nAs \"this\":\n{\"type\": \"json_object\"}<｜User｜>Hi<｜Assistant｜></think>");
}

TEST(Messages, ToolsOfARequestGoToItsSystemMessage) {
  const std::string messages = R"([{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}])";
  const std::string request = R"({"messages": )" + messages + R"(, "tools": [)" + std::string(tool) + "]}";
  const Conversation c = parse_messages(request, "chat.json");
  EXPECT_THAT(c.messages[0].tools, ElementsAre(R"({"name": "get", "parameters": {"type": "object", "properties": {}}})"));
  EXPECT_THAT(c.messages[1].tools, IsEmpty());
  EXPECT_EQ(chat_error(R"({"messages": [{"role": "user", "content": "Hi"}], "tools": [)" + std::string(tool) + "]}"),
            "chat.json: tools: need a system message at the beginning");
}

TEST(Messages, DeveloperAsksInAWrapper) {
  const std::string json = R"([{"role": "developer", "content": "Find it", "tools": [)" + std::string(tool) + "]}]";
  EXPECT_THAT(thinking(json), HasSubstr("<｜begin▁of▁sentence｜><｜User｜>\n\n## Tools"));
  EXPECT_TRUE(thinking(json).ends_with("\n</functions>\n\n\n# The user's message is: Find it<｜Assistant｜><think>"));
  EXPECT_EQ(chat(R"([{"role": "developer", "content": "a"}])"), "<｜begin▁of▁sentence｜><｜User｜>\n\n# The user's message is: a<｜Assistant｜></think>");
}

TEST(Messages, NumbersAsPythonWritesThem) {
  const std::string json = R"([{"role": "user", "content": ""}, {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f",
    "arguments": "{\"a\": [1.0, 1e5, 1e15, 1000000000000000.5, 1e16, 1e-5, 0.0001, -0.0, 18446744073709551615, true]}"}}]}])";
  EXPECT_THAT(chat(json), HasSubstr(">[1.0, 100000.0, 1000000000000000.0, 1000000000000000.5, 1e+16, 1e-05, 0.0001, -0.0, 18446744073709551615, true]<"));
}

TEST(Messages, RefusesWhatHasNoEncoding) {
  const std::string ask = R"({"role": "user", "content": "Hi"})", result = R"({"role": "tool", "content": "r"})";
  const std::string call =
      R"({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}, {"function": {"name": "f", "arguments": "{}"}}]})";
  EXPECT_EQ(chat_error("[" + ask + ", " + result + "]"), "chat.json: messages[1]: is a tool's result, but no tool call waits for one");
  EXPECT_EQ(chat_error("[" + call + ", " + result + ", " + ask + "]"), "chat.json: messages[2]: comes before the results of 1 of 2 tool calls");
  EXPECT_EQ(chat_error("[" + call + ", " + result + "]"), "chat.json: messages: end before the results of 1 of 2 tool calls");
  EXPECT_EQ(chat_error("[" + call + ", " + result + ", " + result + ", " + result + "]"),
            "chat.json: messages[3]: is a tool's result, but no tool call waits for one");
  EXPECT_EQ(chat_error("[" + call + "]"), "");
  EXPECT_EQ(chat_error(R"([{"role": "developer", "content": ""}])"), "chat.json: messages[0]: a developer message needs content");
  EXPECT_EQ(error_of([&] { thinking("[" + ask + R"(, {"role": "assistant", "content": "x"}])"); }),
            "chat.json: messages[1]: in thinking mode an answer to the last user message needs reasoning_content or tool_calls");
}

TEST(Messages, RefusesToolsWithoutTheCheckpointsText) {
  const std::string json = R"([{"role": "system", "tools": [)" + std::string(tool) + "]}]";
  EXPECT_EQ(error_of([&] { encode(json, ThinkingMode::chat, {}); }),
            "chat.json: messages[0]: tools: the text around it is missing: the checkpoint has no encoding/encoding_dsv32.py");
}

TEST(Messages, RefusesAnUnsoundFile) {
  EXPECT_EQ(chat_error("[]"), "chat.json: messages: is empty");
  EXPECT_EQ(chat_error("5"), "chat.json: must be an object");
  EXPECT_EQ(chat_error(R"([{"role": "user"}])"), "chat.json: messages[0].content: is missing");
  EXPECT_EQ(chat_error(R"([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}])"), "chat.json: messages[0].content: must be a string");
  EXPECT_EQ(chat_error(R"([{"role": "User", "content": ""}])"), "chat.json: messages[0].role: \"User\" is not understood");
  EXPECT_EQ(chat_error(R"([{"role": "user", "content": "", "tools": []}])"), "chat.json: messages[0].tools: is not understood");
  EXPECT_EQ(chat_error(R"([{"role": "system", "response_format": "json"}])"), "chat.json: messages[0].response_format: must be an object");
  EXPECT_EQ(chat_error(R"([{"role": "system", "tools": [{"type": "web"}]}])"), "chat.json: messages[0].tools[0].type: only \"function\" is understood");
  EXPECT_EQ(chat_error(R"([{"role": "system", "tools": [{"function": 1}]}])"), "chat.json: messages[0].tools[0].function: must be an object");
  const auto call = [](const std::string& arguments) {
    return R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": )" + arguments + "}}]}]";
  };
  EXPECT_EQ(chat_error(call("{}")), "chat.json: messages[0].tool_calls[0].function.arguments: must be a string");
  EXPECT_EQ(chat_error(call(R"("[]")")), "chat.json: messages[0].tool_calls[0].function.arguments: must hold a JSON object");
  EXPECT_THAT(chat_error(call(R"("{")")), HasSubstr("chat.json: messages[0].tool_calls[0].function.arguments: parse error at line 1, column 2: "));
}

TEST(PromptTexts, RefusesAFileThatIsNotTheEncoder) {
  const auto error = [](std::string_view from, std::string_view to) {
    std::string text(python);
    text.replace(text.find(from), from.size(), to);
    return error_of([&] { parse_prompt_texts(text, "e.py"); });
  };
  EXPECT_EQ(error("TOOLS_SYSTEM_TEMPLATE", "OTHER"), "e.py: TOOLS_SYSTEM_TEMPLATE: is missing");
  EXPECT_EQ(error("{tool_schemas}", ""), "e.py: TOOLS_SYSTEM_TEMPLATE: has no {tool_schemas}");
  EXPECT_EQ(error("{tool_schemas}", "{tool_schemas}{tool_schemas}"), "e.py: TOOLS_SYSTEM_TEMPLATE: {tool_schemas} is not understood");
  EXPECT_EQ(error("{dsml_token}", "{dsml}"), "e.py: TOOLS_SYSTEM_TEMPLATE: {dsml} is not understood");
  EXPECT_EQ(error("{schema}", "{schema"), "e.py: response_format_template: does not close a {");
  EXPECT_EQ(error("\\n{schema}", "\\x"), "e.py: response_format_template: the escape \\x is not understood");
  EXPECT_EQ(error("{schema}\"", ""), "e.py: response_format_template: does not end");
}

TEST(PromptTexts, AreReadFromTheCheckpoint) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "fathom-messages-test";
  std::filesystem::create_directories(folder / "encoding");
  std::ofstream(folder / "encoding" / "encoding_dsv32.py") << python;
  const PromptTexts read = read_prompt_texts(folder);
  std::filesystem::remove_all(folder);
  EXPECT_EQ(read.tools->after, "\n</functions>\n");
  EXPECT_EQ(read.response_format->before, "## Format:\n\nAs \"this\":\n");
}

TEST(PromptTexts, AreOptional) {
  const PromptTexts none = read_prompt_texts(std::filesystem::path(::testing::TempDir()) / "no-such-checkpoint");
  EXPECT_FALSE(none.tools.has_value());
  EXPECT_FALSE(none.response_format.has_value());
}

}  // namespace
}  // namespace fathom::executor
