#include "wire/parse_error.h"

namespace holdfast::wire {

std::string_view to_string(ParseError error) {
  switch (error) {
    case ParseError::kTruncated:
      return "truncated";
    case ParseError::kBadVersion:
      return "bad version";
    case ParseError::kBadLength:
      return "bad length";
    case ParseError::kBadChecksum:
      return "bad checksum";
    case ParseError::kUnsupported:
      return "unsupported";
    case ParseError::kBadAddress:
      return "bad address";
  }
  return "unknown";
}

}  // namespace holdfast::wire
