// What a group's node says about itself, for the trace and for the oracle.
#pragma once

#include "sim/group_node.h"

namespace holdfast::sim {

class GroupNode::Watcher final : public stack::Observer {
 public:
  explicit Watcher(GroupNode& node) : node_(node) {}

  void opened(StreamId id, const wire::FourTuple& tuple, stack::ServiceKind) override {
    node_.context_.note("{}: stream {} opens, {}", node_.place_.name, id.value, tuple.to_string());
  }
  void closed(StreamId id, const wire::FourTuple& tuple, tcp::CloseReason reason) override {
    node_.context_.note("{}: stream {} closes, {}, reason {}", node_.place_.name, id.value, tuple.to_string(),
                        static_cast<int>(reason));
  }
  void resumed(StreamId id, const wire::FourTuple& tuple, tcp::State state) override {
    node_.context_.note("{}: stream {} resumes, {}, {}", node_.place_.name, id.value, tuple.to_string(),
                        tcp::to_string(state));
    if (!node_.killed_) node_.oracle_.resumed(tuple, node_.log_->full());
  }
  void not_resumed(StreamId id, const wire::FourTuple& tuple, const Error& error) override {
    node_.context_.note("{}: stream {} could not be brought back: {}", node_.place_.name, id.value, error.message);
    if (node_.killed_ || node_.log_pool_->head().epoch != node_.pool_.epoch()) return;
    // Its next start tries again.
    if (error.kind == Error::Kind::kTimeout) {
      node_.starts_anew_ = true;
      return;
    }
    node_.context_.fail("stream {}, {}, could not be brought back: {}", id.value, tuple.to_string(), error.message);
  }
  void stalled(bool is) override {
    node_.context_.note("{}: storage {}", node_.place_.name, is ? "stands still" : "moves again");
  }

 private:
  GroupNode& node_;
};

}  // namespace holdfast::sim
