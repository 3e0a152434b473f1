#include "cli/executor/prompts.h"

#include <fmt/format.h>

#include <charconv>
#include <sstream>

#include "cli/executor/options.h"
#include "cli/flags.h"
#include "executor/messages.h"
#include "executor/synthetic.h"

namespace fathom::cli {
namespace {

constexpr std::string_view random_prefix = "random:";
constexpr double most_tokens = 1e8;

std::vector<std::int32_t> ids_of_file(const std::string& file, const ModelSpec& m) {
  std::istringstream words(read_text_file(file));
  std::vector<std::int32_t> ids;
  for (std::string word; words >> word;) {
    std::int32_t id = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    const auto refuse = [&](const std::string& why) { throw Error(Failure::bad_file, fmt::format("{}: token {}: {}", file, ids.size() + 1, why)); };
    if (error != std::errc{} || end != word.data() + word.size()) refuse(fmt::format("'{}' is not a token id", word.substr(0, 20)));
    if (id < 0 || id >= m.vocab_size) refuse(fmt::format("id {} is not among the {} of the vocabulary", id, m.vocab_size));
    ids.push_back(id);
  }
  if (ids.empty()) throw Error(Failure::bad_file, fmt::format("{}: holds no token ids", file));
  return ids;
}

std::vector<std::int32_t> random_ids(const std::string& count, const ModelSpec& m, std::uint64_t seed) {
  const auto tokens = parse_quantity(count);
  if (!tokens || *tokens < 1 || *tokens > most_tokens) throw Error(Failure::usage, fmt::format("--prompt-ids: 'random:{}' is not random:N", count));
  return executor::random_prompt(static_cast<std::int64_t>(*tokens), m.vocab_size, seed);
}

const std::vector<std::string>& uses(const Request& request, std::string_view name) {
  static const std::vector<std::string> none;
  const auto found = request.options.find(name);
  return found == request.options.end() ? none : found->second;
}

std::string conversation_text(const Request& request, const Subject& s, const std::string& file) {
  const auto mode = request.has("thinking") ? executor::ThinkingMode::thinking : executor::ThinkingMode::chat;
  return executor::encode_messages(executor::parse_messages(read_text_file(file), file), mode, executor::read_prompt_texts(*s.folder));
}

class Reader {
 public:
  Reader(const Request& request, const Subject& s, const executor::Tokenizer* tokenizer) : request_(request), subject_(s), tokenizer_(tokenizer) {}

  std::vector<Prompt> read() {
    for (const auto& from : uses(request_, "prompt-ids")) add_ids(from);
    for (const auto& text : uses(request_, "prompt")) add_text("--prompt", [&] { return text; });
    for (const auto& file : uses(request_, "prompt-file")) add_text(file, [&] { return read_text_file(file); });
    for (const auto& file : uses(request_, "messages")) add_text(file, [&] { return conversation_text(request_, subject_, file); });
    if (prompts_.empty()) throw Error(Failure::usage, "run: there is no prompt; give --prompt-ids FILE or random:N, --prompt, --prompt-file or --messages");
    return std::move(prompts_);
  }

 private:
  void add_ids(const std::string& from) {
    const bool random = from.starts_with(random_prefix);
    const auto seed = subject_.seed.value_or(static_cast<std::uint64_t>(whole_option(request_, "seed", 0, std::int64_t{1} << 53).value_or(0)));
    prompts_.push_back({from, random ? random_ids(from.substr(random_prefix.size()), subject_.model, seed + randoms_++) : ids_of_file(from, subject_.model)});
  }
  template <class Text>
  void add_text(const std::string& source, const Text& text) {
    const auto folder = subject_.folder ? subject_.folder->string() : subject_.model.name;
    if (!tokenizer_) throw Error(Failure::usage, fmt::format("ids only (--prompt-ids): {} has no tokenizer.json", folder));
    prompts_.push_back({source, tokenizer_->encode(text())});
  }

  const Request& request_;
  const Subject& subject_;
  const executor::Tokenizer* tokenizer_;
  std::vector<Prompt> prompts_;
  std::uint64_t randoms_ = 0;  // each its own
};

}  // namespace

std::optional<executor::Tokenizer> tokenizer_of(const Subject& s) {
  std::error_code none;
  if (!s.folder || !std::filesystem::exists(*s.folder / "tokenizer.json", none)) return std::nullopt;
  return executor::Tokenizer::read(*s.folder / "tokenizer.json");
}

std::vector<Prompt> prompts_of(const Request& request, const Subject& s, const executor::Tokenizer* tokenizer) { return Reader(request, s, tokenizer).read(); }

}  // namespace fathom::cli
