// A file of messages that reads either has an encoding or is refused, in both modes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "executor/messages.h"
#include "model_spec/error.h"

using namespace fathom::executor;
using fathom::model_spec::Error;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const PromptTexts texts{.tools = Frame{"tools:", "."}, .response_format = Frame{"format:", "."}};
  for (const auto mode : {ThinkingMode::chat, ThinkingMode::thinking}) {
    try {
      if (!encode_messages(parse_messages(text, "chat.json"), mode, texts).starts_with("<｜begin▁of▁sentence｜>")) std::abort();
    } catch (const Error&) {}
  }
  try {
    static_cast<void>(parse_prompt_texts(text, "encoding_dsv32.py"));
  } catch (const Error&) {}
  return 0;
}
