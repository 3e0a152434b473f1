// A regular expression with Unicode classes and look-ahead (PCRE2), used to cut text into pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;  // PCRE2's name of its compiled pattern

namespace fathom::executor {

class Regex {
 public:
  // `where` ("file: key") names the pattern in errors. Throws Error{bad_file} if it does not compile or may match the empty string.
  Regex(const std::string& pattern, std::string where);

  // The matches in `text`, which must be UTF-8, and what lies between them, in order, appended to `out`. Nothing is lost, no piece is empty.
  void split(std::string_view text, std::vector<std::string_view>& out) const;

 private:
  std::shared_ptr<const pcre2_real_code_8> code_;
  std::string where_;
};

}  // namespace fathom::executor
