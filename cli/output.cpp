#include "cli/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fathom::cli {
namespace {

[[noreturn]] void fail(const std::string& what) { throw Error(Failure::io, what + ": " + std::strerror(errno)); }

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const auto n = ::write(file, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// Written to directly: it is not to be replaced by a file.
bool is_device(const std::string& path) {
  struct stat there {};
  return ::stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode);
}

bool wants_colour(const Request& request) {
  if (request.has("no-color") || request.has("output")) return false;
  if (request.has("color")) return true;
  const auto* no_color = std::getenv("NO_COLOR");
  const auto* terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return (no_color == nullptr || *no_color == '\0') && !dumb && isatty(STDOUT_FILENO) == 1;
}

}  // namespace

std::string rendered(const Report& report, const Request& request) {
  const auto format = request.option("format", "table");
  if (format == "json") return to_json(report);
  if (format == "csv") return to_csv(report);
  if (format == "md") return to_markdown(report);
  return to_terminal(report, {.width = 80, .colour = wants_colour(request)});
}

void check_writable(const std::string& path) {
  const auto slash = path.rfind('/');
  const auto folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const bool direct = is_device(path);
  const bool is_folder = direct && ::access((path + "/").c_str(), F_OK) == 0;
  if (is_folder) errno = EISDIR;
  if (is_folder || ::access(direct ? path.c_str() : folder.c_str(), direct ? W_OK : W_OK | X_OK) != 0) fail(path);
}

void write_file(const std::string& path, std::string_view text) {
  const bool device = is_device(path);
  const auto beside = device ? path : path + ".tmp";
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) fail(beside);
  const bool written = write_all(file, text) && (device || ::fsync(file) == 0);
  const int error = errno;
  ::close(file);
  errno = error;
  if (written && (device || std::rename(beside.c_str(), path.c_str()) == 0)) return;
  const int reason = errno;
  if (!device) ::unlink(beside.c_str());
  errno = reason;
  fail(path);
}

void write_stdout(std::string_view text) {
  if (!write_all(STDOUT_FILENO, text) && errno != EPIPE) fail("stdout");
}

}  // namespace fathom::cli
