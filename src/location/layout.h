// Names in a location's directory.
//
//   lock                     flock()ed by the writer; holds its process id
//   segment-%016x            a segment, by number
//   preparing-%016x          a segment being written with zeros; a leftover after a crash
//   NAME.blob                a blob
//   NAME.blob.tmp            the blob's former content, or its next one being written: means nothing, keeps its room
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/units.h"

namespace holdfast::location {

inline constexpr const char* kLockFile = "lock";

std::string segment_file(SegmentNumber segment);
std::string preparing_file(SegmentNumber segment);
// The number in a segment file's name; nullopt for any other name (exactly 16 lower-case digits).
std::optional<SegmentNumber> parse_segment_file(std::string_view name);

// 1 to 64 of a-z A-Z 0-9 . _ -, not starting with a dot.
bool is_blob_name(std::string_view blob);
std::string blob_file(std::string_view blob);
std::string blob_temporary_file(std::string_view blob);
// The blob's name in a blob file's name; nullopt for any other.
std::optional<std::string> parse_blob_file(std::string_view name);

// Left behind by a process that died in the middle of something: to be removed by the next writer.
bool is_leftover(std::string_view name);
// Any of the names above.
bool is_ours(std::string_view name);

}  // namespace holdfast::location
