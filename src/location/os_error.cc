#include "location/os_error.h"

#include <fmt/core.h>

#include <cerrno>
#include <system_error>

namespace holdfast::location {
namespace {

struct Meaning {
  Error::Kind kind;
  std::string_view hint;  // may be empty
};

Meaning meaning_of(int error) {
  switch (error) {
    case ENOENT:
      return {Error::Kind::kUnavailable, "create it or check --data"};
    case ENOTDIR:
      return {Error::Kind::kUnavailable, "give a directory"};
    case EACCES:
    case EPERM:
      return {Error::Kind::kUnavailable, "give this user read and write access"};
    case EROFS:
      return {Error::Kind::kUnavailable, "remount it writable or choose another place"};
    case EMFILE:
    case ENFILE:
      return {Error::Kind::kUnavailable, "raise the limit of open files (ulimit -n)"};
    case ENOMEM:
      return {Error::Kind::kUnavailable, {}};
    case ENOSPC:
      return {Error::Kind::kFull, "free some space or trim the log"};
    case EDQUOT:
      return {Error::Kind::kFull, "raise the quota or trim the log"};
    case EIO:
      return {Error::Kind::kIo, "check the device (dmesg)"};
    default:
      return {Error::Kind::kIo, {}};
  }
}

}  // namespace

Error os_error(std::string_view path, std::string_view what, int error) {
  const Meaning meaning = meaning_of(error);
  const std::string text = std::generic_category().message(error);
  std::string message = fmt::format("{}: cannot {}: {}", path, what, text);
  if (!meaning.hint.empty()) message += fmt::format(": {}", meaning.hint);
  return Error{meaning.kind, std::move(message)};
}

}  // namespace holdfast::location
