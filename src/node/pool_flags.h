// The flags of the commands about a log's pools: `holdfast handover`, `holdfast store status` and `holdfast buckets`.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/units.h"

namespace CLI {
class App;
}

namespace holdfast::node {

struct HandoverCommand {
  std::string data;   // a pool
  std::string group;  // the log's name in it; empty: as the address has it
  Duration timeout = std::chrono::seconds(10);
  bool json = false;
};

struct StoreCommand {
  std::vector<std::string> data;  // pools
  std::string group;
  bool json = false;
};

struct BucketsCommand {
  std::string data;   // a pool
  std::string group;  // the service
  bool json = false;
};

class HandoverFlags {
 public:
  void add_to(CLI::App& app);
  Result<HandoverCommand> finish();

 private:
  HandoverCommand command_;
  std::string timeout_;
};

class StoreFlags {
 public:
  void add_to(CLI::App& app);
  Result<StoreCommand> finish();

 private:
  StoreCommand command_;
};

class BucketsFlags {
 public:
  void add_to(CLI::App& app);
  Result<BucketsCommand> finish();

 private:
  BucketsCommand command_;
};

}  // namespace holdfast::node
