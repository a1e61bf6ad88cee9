#include "location/name_changes.h"

#include <fmt/core.h>
#include <linux/fs.h>

#include <algorithm>
#include <cerrno>

#include "location/os_error.h"

namespace holdfast::location {

NameChanges::NameChanges(Owner& owner, Ring& ring, const Files& files)
    : owner_(owner), ring_(ring), files_(files), user_(ring.add(*this)) {}

NameChanges::~NameChanges() {
  while (ring_.outstanding(user_) > 0) ring_.wait(Duration::max());
  ring_.remove(user_);
}

void NameChanges::rename(Token token, std::string from, std::string to) {
  begin({true, false, token, std::move(from), std::move(to), RENAME_NOREPLACE});
}

void NameChanges::remove(Token token, std::string name) { begin({true, false, token, std::move(name), {}, 0}); }

// The kernel reads the names when the operation is submitted, so they must not move before: changes_ is a deque.
void NameChanges::begin(Change change) {
  auto slot = std::ranges::find_if(changes_, [](const Change& c) { return !c.in_use; });
  if (slot == changes_.end()) {
    changes_.emplace_back();
    slot = changes_.end() - 1;
  }
  *slot = std::move(change);
  issue(static_cast<std::size_t>(slot - changes_.begin()));
}

void NameChanges::issue(std::size_t index) {
  const Change& change = changes_[index];
  ring_.queue(user_, index, [&](io_uring_sqe* sqe) {
    if (change.to.empty()) {
      io_uring_prep_unlinkat(sqe, files_.fd(), change.from.c_str(), 0);
    } else {
      io_uring_prep_renameat(sqe, files_.fd(), change.from.c_str(), files_.fd(), change.to.c_str(), change.flags);
    }
  });
}

void NameChanges::sync(std::size_t index) {
  changes_[index].syncing = true;
  ring_.queue(user_, index, [this](io_uring_sqe* sqe) { io_uring_prep_fsync(sqe, files_.fd(), 0); });
}

void NameChanges::on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t /*flags*/) {
  Change& change = changes_[tag];
  if (result >= 0) return change.syncing ? finish(tag, std::nullopt) : sync(tag);
  if (result == -EINVAL && change.flags != 0) {  // a file system without RENAME_NOREPLACE
    change.flags = 0;
    return issue(tag);
  }
  const std::string path = files_.path_of(change.from);
  if (change.syncing) return finish(tag, os_error(path, "sync the directory of", -result));
  const std::string what = change.to.empty() ? std::string("remove") : fmt::format("rename to {}", change.to);
  finish(tag, os_error(path, what, -result));
}

void NameChanges::finish(std::size_t index, std::optional<Error> error) {
  changes_[index].in_use = false;
  owner_.name_changed(changes_[index].token, std::move(error));
}

}  // namespace holdfast::location
