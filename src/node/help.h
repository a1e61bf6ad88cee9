// The longer texts of --help.
#pragma once

#include <string>

namespace holdfast::node::help {

extern const char* const kAbout;
extern const char* const kExamples;
extern const char* const kServe;
extern const char* const kStreamsList;
extern const char* const kStreamsCat;
extern const char* const kStreamsTail;
extern const char* const kSend;
extern const char* const kLabHandshake;
extern const char* const kHandover;
extern const char* const kStoreStatus;
extern const char* const kBuckets;
std::string version();

}  // namespace holdfast::node::help
