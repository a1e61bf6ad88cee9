// Errors are values. A layer that can fail in ways its caller tells apart has its own kind of error; the rest use
// this one, whose message is one line for a person: what failed, where, and what to do about it.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace holdfast {

struct Error {
  enum class Kind {
    kUsage,         // the caller asked for something that makes no sense: exit status 2
    kUnavailable,   // a resource is missing or not permitted
    kBusy,          // another live process holds it
    kFull,          // no space left
    kIo,            // the operating system reported a failure
    kCorrupt,       // stored bytes fail their checksum, or a format rule
    kIncompatible,  // a newer or foreign format
    kTimeout,       // no answer within the bound
  };
  Kind kind = Kind::kIo;
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Error::Kind kind, std::string message) {
  return std::unexpected(Error{kind, std::move(message)});
}

}  // namespace holdfast
