#include "executor/tokenizer.h"

#include <fmt/core.h>

#include <queue>

#include "executor/utf8.h"
#include "model_spec/error.h"
#include "model_spec/toml.h"

namespace fathom::executor {

namespace {

using model_spec::Error;
using model_spec::Failure;

void check_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text.substr(at));
    if (step.state != Utf8::whole) throw Error(Failure::usage, fmt::format("text: byte {} (0x{:02X}): is not UTF-8", at, static_cast<unsigned char>(text[at])));
    at += step.bytes;
  }
}

constexpr std::size_t none = SIZE_MAX;

// A token of a piece, in a list linked by index, so that a merge costs the same wherever it is.
struct Symbol {
  std::int32_t id;
  std::size_t previous, next;
};

// A merge that was possible when it was queued.
struct Candidate {
  Merge merge;
  std::size_t at;  // of the left symbol
  std::int32_t left, right;
};

// Of equal ranks the leftmost goes first.
struct Later {
  bool operator()(const Candidate& a, const Candidate& b) const { return a.merge.rank != b.merge.rank ? a.merge.rank > b.merge.rank : a.at > b.at; }
};

}  // namespace

bool TokenTrie::insert(std::string_view token, std::int32_t id) {
  std::uint32_t node = 0;
  for (const char c : token) {
    const auto [edge, is_new_node] = next_.try_emplace(std::uint64_t{node} << 8 | static_cast<unsigned char>(c), static_cast<std::uint32_t>(id_.size()));
    if (is_new_node) id_.push_back(-1);
    node = edge->second;
  }
  const bool is_new = id_[node] < 0;
  id_[node] = id;
  return is_new;
}

std::optional<TokenTrie::Match> TokenTrie::longest(std::string_view text) const {
  std::optional<Match> best;
  std::uint32_t node = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto edge = next_.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(text[i]));
    if (edge == next_.end()) break;
    node = edge->second;
    if (id_[node] >= 0) best = {i + 1, id_[node]};
  }
  return best;
}

Tokenizer Tokenizer::read(const std::filesystem::path& tokenizer_json) {
  return parse_tokenizer(model_spec::read_text_file(tokenizer_json.string()), tokenizer_json.string());
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view utf8) const {
  check_utf8(utf8);
  std::vector<std::int32_t> out;
  split_added(utf8, 0, out);
  return out;
}

void Tokenizer::split_added(std::string_view text, std::size_t trie, std::vector<std::int32_t>& out) const {
  if (trie == tables_.added.size()) return encode_plain(text, out);
  std::size_t done = 0, at = 0;
  while (at < text.size()) {
    const auto match = tables_.added[trie].longest(text.substr(at));
    if (!match) {
      ++at;
      continue;
    }
    split_added(text.substr(done, at - done), trie + 1, out);
    out.push_back(match->id);
    done = at += match->bytes;
  }
  split_added(text.substr(done), trie + 1, out);
}

void Tokenizer::encode_plain(std::string_view text, std::vector<std::int32_t>& out) const {
  if (text.empty()) return;
  std::vector<std::string_view> pieces{text}, finer;
  for (const Regex& regex : tables_.splits) {
    finer.clear();
    for (const auto piece : pieces) regex.split(piece, finer);
    pieces.swap(finer);
  }
  for (const auto piece : pieces) encode_piece(piece, out);
}

// O(n log n) in the bytes of the piece: each merge removes a symbol and queues at most two candidates.
void Tokenizer::encode_piece(std::string_view piece, std::vector<std::int32_t>& out) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (std::size_t i = 0; i < piece.size(); ++i) {
    symbols.push_back({tables_.of_byte[static_cast<unsigned char>(piece[i])], i == 0 ? none : i - 1, i + 1 == piece.size() ? none : i + 1});
  }
  std::priority_queue<Candidate, std::vector<Candidate>, Later> queue;
  const auto consider = [&](std::size_t left) {
    if (left == none || symbols[left].next == none) return;
    const std::int32_t a = symbols[left].id, b = symbols[symbols[left].next].id;
    const auto merge = tables_.merges.find(pair_key(a, b));
    if (merge != tables_.merges.end()) queue.push({merge->second, left, a, b});
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) consider(i);
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    Symbol& left = symbols[c.at];
    if (left.id != c.left || left.next == none || symbols[left.next].id != c.right) continue;  // one of the two has gone into another merge
    Symbol& right = symbols[left.next];
    left = {c.merge.id, left.previous, right.next};
    right.id = -1;
    if (left.next != none) symbols[left.next].previous = c.at;
    consider(left.previous);
    consider(c.at);
  }
  for (std::size_t i = 0; i != none; i = symbols[i].next) out.push_back(symbols[i].id);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, SpecialTokens special) const {
  StreamDecoder decoder(*this, special);
  std::string out;
  for (const std::int32_t id : ids) out += decoder.push(id);
  return out + decoder.finish();
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  const auto found = tables_.ids.find(std::string(token));
  return found == tables_.ids.end() ? std::nullopt : std::optional(found->second);
}

std::string_view Tokenizer::bytes_of(std::int32_t id) const {
  return id >= 0 && static_cast<std::size_t>(id) < tables_.bytes.size() ? std::string_view(tables_.bytes[static_cast<std::size_t>(id)]) : std::string_view();
}

bool Tokenizer::is_special(std::int32_t id) const {
  return id >= 0 && static_cast<std::size_t>(id) < tables_.special.size() && tables_.special[static_cast<std::size_t>(id)];
}

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

std::string StreamDecoder::push(std::int32_t id) {
  if (special_ == SpecialTokens::drop && tokenizer_->is_special(id)) return {};
  held_ += tokenizer_->bytes_of(id);
  std::string out;
  std::size_t done = 0;
  while (done < held_.size()) {
    const Utf8Step step = utf8_step(std::string_view(held_).substr(done));
    if (step.state == Utf8::cut_short) break;
    if (step.state == Utf8::whole) out.append(held_, done, step.bytes);
    else out += replacement;
    done += step.bytes;
  }
  held_.erase(0, done);
  return out;
}

std::string StreamDecoder::finish() {
  const bool unfinished = !held_.empty();
  held_.clear();
  return unfinished ? std::string(replacement) : std::string();
}

}  // namespace fathom::executor
