// A stack of our own for the time of one command: a device, a log or none, an engine, and the turn that runs them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gate/recovery.h"
#include "link/tap.h"
#include "location/ring.h"
#include "node/command_line.h"
#include "node/stop_signals.h"
#include "node/storage.h"
#include "shard/clock.h"
#include "shard/shard.h"
#include "stack/engine.h"

namespace holdfast::node {

// An active connection that the log holds: an earlier process began it, and it has not ended.
struct Unfinished {
  StreamId id;
  wire::FourTuple tuple;
  StreamOffset in_end, out_end;  // stored
  bool out_fin = false;
};

class Session final : private stack::Observer, private StorageWatch::Listener {
 public:
  explicit Session(const SendCommand& command) : command_(command) {}

  Result<void> create_ring();
  // Device and log are opened, nothing is said yet.
  Result<void> open();
  // Ascending by id. As of open().
  const std::vector<Unfinished>& unfinished() const { return unfinished_; }
  // The log is ours from here on, and connections that it holds speak.
  Result<void> start();

  // One turn of the shard. Errors: the device is gone, or nothing more can be stored. After stop_asked() too, so that
  // what is under way can be ended in order.
  Result<void> turn(Time at_latest);
  bool stop_asked() const { return stop_->asked(); }

  // The device outlives this process until release_device(), which leaves it where a connection needs it.
  Result<void> keep_device();
  Result<void> release_device();

  // Waits, not for long, until all is stored; before an end, at each location. False where it is not.
  bool store_all() { return node::store_all(*engine_, *ring_); }
  bool settle() { return node::settle(*engine_, *ring_, shard::monotonic_now() + kEndBound); }

  // For people: one line on standard error, unless they want it quiet.
  void say(const std::string& text) const;

  location::Ring& ring() { return *ring_; }
  stack::Engine& engine() { return *engine_; }
  bool is_durable() const { return !command_.data.empty(); }
  bool has_device() const { return !tap_->failure(); }
  std::optional<stack::ConnectionInfo> connection(StreamId id) const;
  // Why a connection that the log holds could not be brought back.
  std::optional<Error> not_resumed_because(StreamId id) const;

 private:
  Result<std::unique_ptr<log::Log>> open_log(gate::Recovery& recovered);
  void find_unfinished(gate::Recovery& recovered);
  stack::Config engine_config() const;
  Result<void> look_around(Time now);

  // ---- stack::Observer ----
  void not_resumed(StreamId id, const wire::FourTuple& tuple, const Error& error) override;
  void stalled(bool now) override;
  // ---- StorageWatch::Listener ----
  void location_changed(const log::LocationStatus& location, const log::Log& log) override;
  void full_changed(const std::vector<std::string>& full) override;

  const SendCommand& command_;
  // In the order of need: what is below is destroyed first.
  std::unique_ptr<location::Ring> ring_;
  std::unique_ptr<link::Tap> tap_;
  StorageWatch storage_;
  std::unique_ptr<StopSignals> stop_;
  std::unique_ptr<stack::Engine> engine_;
  std::unique_ptr<shard::Shard> shard_;
  std::vector<Unfinished> unfinished_;
  std::size_t of_other_addresses_ = 0;  // connections in the log that this address cannot go on with
  std::map<StreamId, Error> not_resumed_;
  Time next_look_{};
};

}  // namespace holdfast::node
