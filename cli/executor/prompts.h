// Prompts from files and texts to token ids.
#pragma once

#include "cli/executor/subject.h"
#include "executor/tokenizer.h"

namespace fathom::cli {

struct Prompt {
  std::string source;  // "random:64", a file, "--prompt"
  std::vector<std::int32_t> ids;
};

// The tokenizer of the folder that the model came from, if there is one.
std::optional<executor::Tokenizer> tokenizer_of(const Subject&);

// Those of --prompt-ids, then --prompt, --prompt-file, --messages. Throws Error{usage} if there are none, or texts without a tokenizer;
// Error{bad_file} naming a file whose ids are not ids of the model.
std::vector<Prompt> prompts_of(const Request&, const Subject&, const executor::Tokenizer*);

}  // namespace fathom::cli
