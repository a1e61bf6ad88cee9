// What an operation's outcome means to people: one line, with what to do about it.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "location/rados/head.h"
#include "location/rados/object_store.h"

namespace holdfast::location::rados {

// "PLACE: cannot WHAT: …"
Error error_of(const Finished& finished, const std::string& place, std::string_view what);

// The head that was read; epoch 0 where there is none.
Result<Head> head_of(const Finished& finished, const std::string& place);

// The data of a read that is expected whole.
Result<void> copy_data(const Finished& finished, MutableBytes into, const std::string& place, SegmentNumber segment);

}  // namespace holdfast::location::rados
