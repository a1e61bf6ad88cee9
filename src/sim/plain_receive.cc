// The receiving half of a plain peer's connection: in order or not at all.
#include "sim/plain_connection.h"

namespace holdfast::sim {

std::uint64_t PlainPeer::Connection::receive_window() const { return host_.plan_.receive_buffer - unread_; }

void PlainPeer::Connection::receive(const TcpView& view, Bytes payload) {
  if (state_ == State::kClosed) return;
  if (state_ == State::kReset) {
    // As a host that knows nothing of it any more (RFC 9293 section 3.10.7.1).
    if (view.tcp.flags.rst || !view.tcp.flags.ack) return;
    wire::TcpHeader header;
    header.seq = view.tcp.ack;
    header.flags.rst = true;
    return transmit(header, {});
  }
  if (state_ == State::kSynSent) return receive_syn_ack(view);
  const std::uint64_t at = static_cast<std::uint32_t>(view.tcp.seq - (irs_ + 1));
  if (view.tcp.flags.rst) {
    // Behind a FIN that was lost, say: RFC 9293 section 3.10.7.4.
    if (at != received_ + (fin_received_ ? 1 : 0)) return send_empty({.ack = true});
    state_ = State::kReset;
    const bool was_done = done_;
    done_ = true;
    host_.oracle_.peer_gone(tuple());
    if (!plan_.node_aborts && !was_done) host_.context_.fail("{}: reset by the node", tuple().to_string());
    return;
  }
  if (view.tcp.flags.syn) return send_empty({.ack = true});
  if (timestamps_) {
    const auto& ts = view.tcp.options.timestamps;
    if (!ts) return host_.context_.fail("{}: a segment without timestamps", tuple().to_string());
    if (at <= received_ && static_cast<std::int32_t>(ts->value - ts_recent_) >= 0) ts_recent_ = ts->value;
  }
  receive_ack(view);
  if (view.payload_size != 0 || view.tcp.flags.fin) {
    receive_data(view, payload);
  } else if (view.tcp.seq != ack_now()) {
    send_empty({.ack = true});  // out of place (a probe): say where we are
  }
  check_done();
}

void PlainPeer::Connection::receive_syn_ack(const TcpView& view) {
  if (view.tcp.flags.rst) {
    if (!view.tcp.flags.ack || view.tcp.ack != iss_ + 1) return;
    state_ = State::kReset;
    done_ = true;
    host_.oracle_.peer_gone(tuple());
    if (!plan_.node_aborts) host_.context_.fail("{}: refused by the node", tuple().to_string());
    return;
  }
  if (!view.tcp.flags.syn || !view.tcp.flags.ack || view.tcp.ack != iss_ + 1) return;
  irs_ = view.tcp.seq;
  const wire::TcpOptions& options = view.tcp.options;
  if (options.sack_permitted) host_.context_.fail("{}: SACK was not offered", tuple().to_string());
  timestamps_ = host_.plan_.timestamps && options.timestamps.has_value();
  if (timestamps_) ts_recent_ = options.timestamps->value;
  if (host_.plan_.window_scale && options.window_scale) {
    send_scale_ = *options.window_scale;
    receive_scale_ = *host_.plan_.window_scale;
  }
  edge_ = view.tcp.window;
  state_ = State::kOpen;
  timer_armed_ = false;
  ++timer_;
  retries_ = 0;
  send_empty({.ack = true});
  if (plan_.bytes == 0) return send_what_may_go();
  write_more();
}

void PlainPeer::Connection::receive_data(const TcpView& view, Bytes payload) {
  const std::uint64_t begin = static_cast<std::uint32_t>(view.tcp.seq - (irs_ + 1));
  const std::uint64_t end = begin + payload.size();
  if (begin <= received_ && end > received_ && !fin_received_) {
    const std::uint64_t take = std::min(end - received_, receive_window());
    const Bytes fresh = payload.subspan(received_ - begin, take);
    if (!plan_.echo) {
      host_.context_.fail("{}: a store service sent bytes", tuple().to_string());
    } else if (plan_.content.matching(received_, fresh) != fresh.size()) {
      host_.context_.fail("{}: wrong bytes came back at {}", tuple().to_string(),
                          received_ + plan_.content.matching(received_, fresh));
    }
    received_ += take;
    unread_ += take;
    if (received_ > max_sent_) host_.context_.fail("{}: more came back than was sent", tuple().to_string());
    if (host_.plan_.read_bytes_per_second == 0) {
      unread_ = 0;
    } else {
      read_some();
    }
  }
  if (view.tcp.flags.fin && end == received_ && !fin_received_) {
    fin_received_ = true;
    if (max_sent_ != stream_end() + 1) host_.context_.fail("{}: the node's FIN before ours", tuple().to_string());
    if (plan_.echo && received_ != plan_.bytes) {
      host_.context_.fail("{}: the echo ended after {} of {} bytes", tuple().to_string(), received_, plan_.bytes);
    }
  }
  send_empty({.ack = true});
}

void PlainPeer::Connection::read_some() {
  if (reading_ || unread_ == 0) return;
  reading_ = true;
  host_.context_.queue.after(std::chrono::milliseconds(50), [this] {
    reading_ = false;
    unread_ -= std::min(unread_, std::max<std::uint64_t>(1, host_.plan_.read_bytes_per_second / 20));
    if (state_ != State::kOpen) return;
    // A window update where it is worth one (RFC 9293 section 3.8.6.2.2).
    if (receive_window() >= advertised_ + std::min<std::uint64_t>(host_.plan_.mss, host_.plan_.receive_buffer / 2)) {
      send_empty({.ack = true});
    }
    read_some();
  });
}

void PlainPeer::Connection::check_done() {
  if (state_ != State::kOpen || done_) return;
  if (una_ != stream_end() + 1 || !fin_received_) return;
  // It stays to answer a FIN whose ACK was lost; only the script is over.
  done_ = true;
  host_.context_.note("{} stream {} ends", host_.place_.name, plan_.number);
}

}  // namespace holdfast::sim
