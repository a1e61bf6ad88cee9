// This program once more, as a child: the keeper's node, a node's processes for buckets. The child is executed anew and
// not forked alone, so that its memory is laid out anew too.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace holdfast::node {

struct Child {
  std::vector<std::string> arguments;  // argv[0] first
  std::vector<int> inherited;          // descriptors that it gets, under the same numbers
  sigset_t blocked;                    // signals that it starts with blocked
};

// What it ends with where it cannot be executed.
inline constexpr int kExecFailed = 127;

// The child's process id; negative: errno says why there is none. It dies with this process.
pid_t execute(const Child& child);

// For the child's begin: asks to be killed when its parent dies; false: that has happened already.
bool die_with_parent(int parent_pid);

}  // namespace holdfast::node
