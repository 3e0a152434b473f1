#include "executor/regex.h"

#include <fmt/core.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <new>

#include "model_spec/error.h"

namespace fathom::executor {

namespace {

using model_spec::Error;
using model_spec::Failure;

// PCRE2's backtracking steps for one match. The tokenizers' patterns need at most a few per byte (\s*[\r\n]+ goes back over a run of
// spaces once); a hostile one shall not take minutes.
std::uint32_t match_limit(std::size_t text_bytes) { return static_cast<std::uint32_t>(std::min<std::size_t>(1'000'000 + 16 * text_bytes, UINT32_MAX)); }

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};  // longer messages are cut
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

PCRE2_SPTR units(std::string_view s) { return reinterpret_cast<PCRE2_SPTR>(s.data()); }

}  // namespace

Regex::Regex(const std::string& pattern, std::string where) : where_(std::move(where)) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  // UCP: \s and the like know Unicode. \C would cut characters in two.
  const std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  pcre2_code* code = pcre2_compile(units(pattern), pattern.size(), options, &error, &offset, nullptr);
  if (code == nullptr) throw Error(Failure::bad_file, fmt::format("{}: at byte {}: {}", where_, offset, message_of(error)));
  code_.reset(code, pcre2_code_free);
  std::uint32_t shortest = 0;
  pcre2_pattern_info(code, PCRE2_INFO_MINLENGTH, &shortest);
  if (shortest == 0) throw Error(Failure::bad_file, fmt::format("{}: may match the empty string, which is not understood", where_));
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // where it fails, matching is slower and the same
}

void Regex::split(std::string_view text, std::vector<std::string_view>& out) const {
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> found(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  const std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  if (found == nullptr || context == nullptr) throw std::bad_alloc();
  pcre2_set_match_limit(context.get(), match_limit(text.size()));
  std::size_t done = 0;
  while (done < text.size()) {
    // the caller has checked the text; PCRE2 would check all the rest again for every match
    const int rc = pcre2_match(code_.get(), units(text), text.size(), done, PCRE2_NO_UTF_CHECK, found.get(), context.get());
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) throw Error(Failure::bad_file, fmt::format("{}: at byte {} of a text: {}", where_, done, message_of(rc)));
    const PCRE2_SIZE* at = pcre2_get_ovector_pointer(found.get());
    if (at[0] < done || at[1] <= at[0]) throw Error(Failure::bad_file, fmt::format("{}: \\K is not understood", where_));  // only it makes such matches
    if (at[0] > done) out.push_back(text.substr(done, at[0] - done));
    out.push_back(text.substr(at[0], at[1] - at[0]));
    done = at[1];
  }
  if (done < text.size()) out.push_back(text.substr(done));
}

}  // namespace fathom::executor
