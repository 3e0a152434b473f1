// Text <-> token ids: byte-level BPE as DeepSeek-V3's tokenizer.json (Hugging Face tokenizers format) describes it.
//   text -> added tokens | other text -> pieces, by regular expressions -> bytes -> ids, by merging the pair of lowest rank until none is left
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "executor/regex.h"

namespace fathom::executor {

// Finds the longest of a set of strings at the start of a text, byte by byte.
class TokenTrie {
 public:
  struct Match {
    std::size_t bytes;
    std::int32_t id;
  };
  bool insert(std::string_view token, std::int32_t id);  // false if it was there
  [[nodiscard]] std::optional<Match> longest(std::string_view text) const;

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> next_;  // node * 256 + byte -> node; node 0 is the root
  std::vector<std::int32_t> id_{-1};                       // [nodes]: the token that ends here, or -1
};

struct Merge {
  std::uint32_t rank;  // lower goes first
  std::int32_t id;     // of the merged token
};
inline std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

// A vocabulary whose parts agree with one another; parse_tokenizer() makes one.
struct TokenizerTables {
  std::unordered_map<std::string, std::int32_t> ids;  // by the token as the file writes it
  std::vector<std::string> bytes;                     // [largest id + 1]: what a token stands for; empty where the file has none
  std::vector<bool> special;                          // [largest id + 1]
  std::array<std::int32_t, 256> of_byte{};            // id of the token that is this one byte
  std::unordered_map<std::uint64_t, Merge> merges;    // by pair_key
  std::array<TokenTrie, 2> added;                     // looked for in this order: as in the raw text, then as in normalised text
  std::vector<Regex> splits;                          // one after the other, each on the pieces of the one before
};

enum class SpecialTokens { keep, drop };

class Tokenizer {
 public:
  static Tokenizer read(const std::filesystem::path& tokenizer_json);
  explicit Tokenizer(TokenizerTables tables) : tables_(std::move(tables)) {}

  // No token is added (no begin of sentence): the caller's text says all. Text that is not UTF-8 is an Error{usage} that names the byte:
  // the pre-tokenizer is defined on characters only, and a guess would silently change the prompt.
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view utf8) const;
  // Always UTF-8: U+FFFD stands for bytes that are not (a model may emit half a character). An id without a token (the padding rows of
  // an embedding) stands for nothing.
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids, SpecialTokens special = SpecialTokens::keep) const;

  // By the token's text as in tokenizer.json: "<｜User｜>", "Ġthe".
  [[nodiscard]] std::optional<std::int32_t> id_of(std::string_view token) const;
  [[nodiscard]] std::string_view bytes_of(std::int32_t id) const;  // empty for an id without a token
  [[nodiscard]] bool is_special(std::int32_t id) const;
  [[nodiscard]] std::size_t id_count() const { return tables_.bytes.size(); }  // largest id + 1

 private:
  void split_added(std::string_view text, std::size_t trie, std::vector<std::int32_t>& out) const;
  void encode_plain(std::string_view text, std::vector<std::int32_t>& out) const;
  void encode_piece(std::string_view piece, std::vector<std::int32_t>& out) const;
  TokenizerTables tables_;
};

// The tokenizer in the text of a tokenizer.json; `file` names it in errors. Throws Error{bad_file} "file: key: what is wrong" for anything
// unsound and for anything that would change the result and is not built here.
Tokenizer parse_tokenizer(std::string_view json, const std::string& file);

// Ids in, one by one; whole characters out. The tokenizer must outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, SpecialTokens special = SpecialTokens::keep) : tokenizer_(&tokenizer), special_(special) {}
  std::string push(std::int32_t id);
  std::string finish();  // what a last, unfinished character leaves: U+FFFD or nothing

 private:
  const Tokenizer* tokenizer_;
  SpecialTokens special_;
  std::string held_;  // the beginning of a character, at most 3 bytes between calls
};

}  // namespace fathom::executor
