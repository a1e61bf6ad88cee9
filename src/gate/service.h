// What becomes of a connection's bytes. The gate gives stored bytes only; a service that answers out of the very bytes
// it is sent (echo) is a property of the record, so that question and answer are one write.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/units.h"
#include "tcp/connection.h"
#include "wire/address.h"

namespace holdfast::gate {

enum class ServiceKind : std::uint8_t {
  kStore = 1,   // keep what arrives; our FIN leaves after theirs is stored
  kEcho = 2,    // keep what arrives and send it back
  kClient = 3,  // an active connection of ours, with a ClientHandler
};

// What happened, for logs and metrics. Called inside other calls; must not call back.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void opened(StreamId, const wire::FourTuple&, ServiceKind) {}
  virtual void closed(StreamId, const wire::FourTuple&, tcp::CloseReason) {}
  // Taken over from the log; it has not spoken yet.
  virtual void resumed(StreamId, const wire::FourTuple&, tcp::State) {}
  // Its outbound bytes cannot be read back, and why. It stays in the log, and is tried again at the next start; until
  // then nothing is said for it but a challenge (RFC 5961).
  virtual void not_resumed(StreamId, const wire::FourTuple&, const Error&) {}
  // An N-way handshake is over: the connection is established, or has failed.
  virtual void handshake(StreamId, const wire::FourTuple&, const tcp::WaysReport&) {}
  // A SYN got a RST: the service at its port wants `least` ways, it proposed fewer (3: none).
  virtual void ways_refused(const wire::FourTuple&, std::uint8_t /*proposed*/, std::uint8_t /*least*/) {}
  virtual void stalled(bool) {}
};

// An active connection's user. Outlives the connection. May send and abort from inside these calls.
class ClientHandler {
 public:
  virtual ~ClientHandler() = default;
  // An N-way handshake is over: established() or finished() follows.
  virtual void handshake(const tcp::WaysReport&) {}
  virtual void established() {}
  virtual void received(Bytes) {}  // in order, stored (in memory for a volatile node)
  virtual void peer_finished() {}
  virtual void writable() {}  // room in the send buffer may have grown
  virtual void finished(tcp::CloseReason) {}
};

}  // namespace holdfast::gate
