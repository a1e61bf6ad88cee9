// A log opened for reading, from as many of its places as there are; its owner may be writing on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "location/location.h"
#include "location/ring.h"
#include "log/reader.h"

namespace holdfast::node {

class StoredLog {
 public:
  enum class Owner : std::uint8_t {
    kUnknown,  // somebody may be writing on: whether one lives is looked into where it must be known
    kUs,       // this very process
  };
  static Result<StoredLog> open(const std::vector<std::string>& places, Owner owner = Owner::kUnknown);

  log::Reader& reader() { return *reader_; }
  // Of places that could not be opened: the others serve.
  const std::vector<Error>& problems() const { return problems_; }

 private:
  std::unique_ptr<location::Ring> ring_;  // where there is a pool
  std::vector<std::unique_ptr<location::Location>> locations_;
  std::vector<Error> problems_;
  std::unique_ptr<log::Reader> reader_;
};

}  // namespace holdfast::node
