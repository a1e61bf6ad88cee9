// The keeper: the node's parent. It holds the device's descriptor, so that frames queue in the kernel while the node is
// away (a peer whose segments are lost would sit out its retransmission time-out), and starts the node again when it
// died. When the keeper itself is killed its node dies with it.
//
// The node is this same program, executed anew each time (a fork alone would keep the address-space layout that made a
// crash exploitable) with the inherited descriptors named by hidden flags.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/units.h"
#include "node/event_file.h"

namespace holdfast::node {

struct KeeperConfig {
  std::vector<std::string> command;  // the node's arguments, argv[0] first; "--inherited-start=N" is added
  std::vector<int> inherited;        // descriptors that the node gets, under the same numbers
  int status_fd = -1;                // read end: the node writes one byte when it is ready
  // Time for a node to end after SIGTERM: its open batch is written, which takes as long as its disks do.
  Duration stop_bound = std::chrono::seconds(10);
  const EventFile* events = nullptr;
  std::function<void()> first_ready;  // the first node is ready
  std::function<bool()> has_device;   // false: it was removed, and no node can work with our descriptor any more
};

// Runs until SIGTERM, SIGINT or SIGHUP, and returns the exit status. A node that refuses to start the very first time
// (exit status 1 or 2 before it was ready) is not started again: its status is returned. Where the device is gone: 1.
int run_keeper(const KeeperConfig& config);

}  // namespace holdfast::node
