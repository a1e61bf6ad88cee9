// Renames and removals in a location's directory, made durable, without ever blocking.
//
// Threads: the ring's.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "location/files.h"
#include "location/location.h"
#include "location/ring.h"

namespace holdfast::location {

class NameChanges final : private Ring::Handler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void name_changed(Token token, std::optional<Error> error) = 0;
  };

  NameChanges(Owner& owner, Ring& ring, const Files& files);
  ~NameChanges() override;  // blocks until what was begun has ended
  NameChanges(const NameChanges&) = delete;
  NameChanges& operator=(const NameChanges&) = delete;

  // `to` must not exist.
  void rename(Token token, std::string from, std::string to);
  void remove(Token token, std::string name);

 private:
  struct Change {
    bool in_use = false;
    bool syncing = false;  // the name is changed; the directory's fsync is under way
    Token token = 0;
    std::string from;
    std::string to;  // empty: a removal
    unsigned flags = 0;
  };

  void on_completion(std::uint64_t tag, std::int32_t result, std::uint32_t flags) override;
  void begin(Change change);
  void issue(std::size_t index);
  void sync(std::size_t index);
  void finish(std::size_t index, std::optional<Error> error);

  Owner& owner_;
  Ring& ring_;
  const Files& files_;
  const Ring::User user_;
  std::deque<Change> changes_;  // by tag; never moved: the kernel reads the names when the operation is submitted
};

}  // namespace holdfast::location
