// What the peer of an active connection has told us. Its bytes go to standard output, those that an earlier process of
// the same connection has stored first.
#pragma once

#include <optional>

#include "base/error.h"
#include "stack/engine.h"

namespace holdfast::node {

class Dialogue final : public stack::ClientHandler {
 public:
  // Bytes from here on will be received(); they are only counted until write() has caught up.
  void begin_at(StreamOffset offset);
  StreamOffset received_end() const { return received_end_; }
  StreamOffset written_end() const { return written_end_; }
  // Stored bytes from written_end() on. False: nobody reads them any more.
  bool write(Bytes bytes);

  bool is_established() const { return established_; }
  bool has_peer_finished() const { return peer_finished_; }
  const std::optional<tcp::CloseReason>& ended() const { return ended_; }
  const std::optional<Error>& output_error() const { return output_error_; }
  bool is_output_gone() const { return output_gone_; }
  // Of an N-way handshake, once it is over.
  const tcp::WaysReport& handshake_report() const { return handshake_; }

  // ---- stack::ClientHandler ----
  void handshake(const tcp::WaysReport& report) override { handshake_ = report; }
  void established() override { established_ = true; }
  void received(Bytes bytes) override;
  void peer_finished() override { peer_finished_ = true; }
  void finished(tcp::CloseReason reason) override { ended_ = reason; }

 private:
  bool established_ = false;
  tcp::WaysReport handshake_;
  bool peer_finished_ = false;
  StreamOffset received_end_, written_end_;
  bool output_gone_ = false;
  std::optional<Error> output_error_;
  std::optional<tcp::CloseReason> ended_;
};

}  // namespace holdfast::node
