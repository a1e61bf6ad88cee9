// What the node says about itself, for the trace and for the world.
#pragma once

#include "sim/node_host.h"

namespace holdfast::sim {

class NodeHost::Watcher final : public stack::Observer {
 public:
  explicit Watcher(NodeHost& host) : host_(host) {}

  void opened(StreamId id, const wire::FourTuple& tuple, stack::ServiceKind) override {
    host_.context_.note("node: stream {} opens, {}", id.value, tuple.to_string());
  }
  void closed(StreamId id, const wire::FourTuple& tuple, tcp::CloseReason reason) override {
    host_.context_.note("node: stream {} closes, {}, reason {}", id.value, tuple.to_string(), static_cast<int>(reason));
    if (host_.closed) host_.closed(id, tuple, reason);
  }
  void resumed(StreamId id, const wire::FourTuple& tuple, tcp::State state) override {
    host_.context_.note("node: stream {} resumes, {}, {}", id.value, tuple.to_string(), tcp::to_string(state));
    // Each epoch begins a segment of its own, so that a replacement on a full disk has less room than its predecessor
    // promised.
    host_.oracle_.resumed(tuple, host_.runner().engine().log()->full());
  }
  void not_resumed(StreamId id, const wire::FourTuple& tuple, const Error& error) override {
    host_.context_.fail("stream {}, {}, could not be brought back: {}", id.value, tuple.to_string(), error.message);
  }
  void stalled(bool is) override { host_.context_.note("node: storage {}", is ? "stands still" : "moves again"); }

 private:
  NodeHost& host_;
};

}  // namespace holdfast::sim
