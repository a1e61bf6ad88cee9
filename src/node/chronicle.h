// What happens to a node, in words for people and as events for programs.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/units.h"
#include "node/event_file.h"
#include "node/storage.h"
#include "node/ways_refusals.h"
#include "stack/engine.h"

namespace holdfast::node {

inline double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }
inline const char* json_bool(bool value) { return value ? "true" : "false"; }
// "1 connection", "2 connections"
std::string counted(std::size_t connections);

class Chronicle final : public stack::Observer, public StorageWatch::Listener {
 public:
  explicit Chronicle(const EventFile& events) : events_(events) {}

  void opened(StreamId id, const wire::FourTuple& tuple, stack::ServiceKind) override;
  void closed(StreamId id, const wire::FourTuple& tuple, tcp::CloseReason reason) override;
  void resumed(StreamId id, const wire::FourTuple& tuple, tcp::State state) override;
  void not_resumed(StreamId id, const wire::FourTuple& tuple, const Error& error) override;
  void handshake(StreamId id, const wire::FourTuple& tuple, const tcp::WaysReport& report) override;
  void ways_refused(const wire::FourTuple& tuple, std::uint8_t proposed, std::uint8_t least) override;
  void stalled(bool now) override;
  void full_changed(const std::vector<std::string>& full) override;
  void location_changed(const log::LocationStatus& location, const log::Log& log) override;

  // Of those noted until now, if it is time to.
  void tell_refusals(Time now);
  // What was written since it was told last, and the widest window so far; if anything was, and it is time to.
  void tell_writes(log::Log& log, std::uint32_t widest_window, Time now);

 private:
  const EventFile& events_;
  WaysRefusals refusals_;
  Time next_writes_{};
};

}  // namespace holdfast::node
