// Who may write in a location's directory: one process at a time, and only once nothing of the one before can land any
// more.
//
// flock() belongs to an open file description, and so does a write in flight: a direct write that a killed process had
// submitted keeps the description, and with it the lock, until it has reached the device or never will. A lock on a
// file of its own is free the moment the process is gone, while its writes still land (seconds later, on a slow
// device). So the new writer takes both: the lock file, which keeps other writers out from now on, and then, once, each
// segment file, which shows that no description of a former writer is left. fcntl() locks do not do: they belong to the
// process.
//
// All segment files, not only recent ones: a lock and an unlock cost a few microseconds, and then nothing needs to be
// known about which of them could have been written to.
#pragma once

#include "base/error.h"
#include "base/units.h"
#include "location/files.h"
#include "location/unique_fd.h"

namespace holdfast::location {

// Takes the lock file, waiting up to `bound` of real time. Holds it as long as the descriptor is open.
Result<UniqueFd> lock_directory(const Files& files, Duration bound);

// Somebody holds the lock file, or that cannot be told. Takes it for a moment, shared, so that others can look too.
bool is_locked(const Files& files);

// Waits up to `bound` until no segment file is locked by anybody. Call with the directory's lock held.
Result<void> await_former_writers(const Files& files, Duration bound);

// For a descriptor that segments will be written through: false where somebody else has the file locked.
bool lock_descriptor(int fd);

}  // namespace holdfast::location
