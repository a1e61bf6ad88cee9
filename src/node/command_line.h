// What the program was asked to do. Parsing has no side effects but reading the configuration file.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "log/reader.h"
#include "node/lab.h"
#include "node/pool_flags.h"
#include "node/settings.h"

namespace holdfast::node {

// Descriptors that a node inherits from its keeper; -1: none.
struct Inherited {
  int keeper = 0;  // its process id; 0: there is none
  int link = -1;
  int config = -1;             // the configuration file's text, as the keeper read it
  int status = -1;             // write one byte when ready
  unsigned start = 1;          // the keeper's count of starts
  std::uint64_t identity = 0;  // of all its nodes
  // A worker's (node/bucket_worker.h), from the process that reads the device.
  int bucket = -1;  // -1: none
  int frames = -1;
  int events = -1;
  std::string key;  // of the service's buckets
};

struct ServeCommand {
  ServeOptions options;
  Inherited inherited;
  std::string config_text;             // of --config; empty without
  std::vector<std::string> arguments;  // as given, argv[0] first
};

struct StreamsCommand {
  enum class Action : std::uint8_t { kList, kShow, kCat, kTail, kTrim };
  Action action = Action::kList;
  std::vector<std::string> data;
  StreamId stream;
  log::Direction direction = log::Direction::kIn;
  std::optional<std::uint64_t> from;  // cat: 0; tail: the end
  bool from_kept = false;             // from the first byte that is there
  std::optional<std::uint64_t> length;
  bool json = false;
  // trim
  std::uint64_t keep_bytes = 0;  // 0: not given
  Duration older_than = Duration::zero();
  bool all_closed = false;
  bool dry_run = false;
};

struct SendCommand {
  LinkAddress link;
  wire::Ipv4Prefix address;
  std::optional<wire::Ipv4Address> gateway;
  std::optional<wire::Ipv4Prefix> host_address;
  wire::Endpoint to;
  std::optional<wire::Port> local_port;  // without: any that is free
  tcp::WaysConfig ways{.strict = true};
  std::vector<std::string> data;  // directories: one location each; none: nothing is stored
  log::Options log;
  Duration linger = std::chrono::milliseconds(1500);  // for a FIN of the peer that comes again; at most 2 MSL
  bool abandon = false;                               // reset an unfinished connection first
  bool again = false;                                 // also what was delivered already
  std::string file = "-";
  std::string pcap;
  bool quiet = false;  // no progress bar, no notes
};

// Help or version: to be printed to standard output.
struct TextCommand {
  std::string text;
};

using Command = std::variant<ServeCommand, StreamsCommand, SendCommand, LabCommand, HandoverCommand, StoreCommand,
                             BucketsCommand, TextCommand>;

// Errors are kUsage, one line, without the program's name in front.
Result<Command> parse_command_line(int argc, const char* const* argv);

}  // namespace holdfast::node
