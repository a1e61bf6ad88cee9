// The flags of `holdfast lab handshake`.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "base/error.h"
#include "node/lab.h"

namespace holdfast::node {

class LabFlags {
 public:
  void add_to(CLI::App& app);
  // After parsing. Errors are kUsage, one line.
  Result<LabCommand> finish();

 private:
  Result<void> no_empty_values() const;
  Result<void> paths();
  Result<void> storage();
  Result<void> handshakes();
  Result<void> the_ladder();
  Result<void> output() const;

  LabCommand command_;
  CLI::App* handshake_ = nullptr;
  std::string ways_, loss_, delay_, jitter_, storage_, directories_, stored_on_, runs_, seed_, policy_,
      roll_call_timeout_, stores_nothing_, ladder_;
};

}  // namespace holdfast::node
