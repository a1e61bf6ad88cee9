// The sending half of a plain peer's connection: go-back-N with one timer.
#include "sim/plain_connection.h"

namespace holdfast::sim {

namespace {

constexpr Duration kFirstTimeout = std::chrono::milliseconds(300);
constexpr Duration kLongestTimeout = std::chrono::seconds(10);
constexpr Duration kKeepalive = std::chrono::seconds(30);
constexpr unsigned kLargestWindow = 16;  // segments

}  // namespace

PlainPeer::Connection::Connection(PlainPeer& host, const StreamPlan& plan, wire::Port local, Prng prng)
    : host_(host), plan_(plan), local_(local), prng_(prng) {
  iss_ = wire::SeqNum(static_cast<std::uint32_t>(prng_.next()));
  ts_offset_ = static_cast<std::uint32_t>(prng_.next());
}

std::string PlainPeer::Connection::progress() const {
  return fmt::format("plain stream {} ({}): {} of {} bytes acknowledged, {} received{}", plan_.number,
                     tuple().to_string(), una_, plan_.bytes, received_, fin_received_ ? ", FIN received" : "");
}

wire::FourTuple PlainPeer::Connection::tuple() const {
  return {{host_.place_.node, wire::Port{plan_.echo ? kEchoPort : kStorePort}}, {host_.place_.address, local_}};
}

std::uint32_t PlainPeer::Connection::ts_now() const {
  const auto since = host_.context_.now().time_since_epoch();
  return ts_offset_ + static_cast<std::uint32_t>(since / std::chrono::milliseconds(1));
}

void PlainPeer::Connection::open() {
  state_ = State::kSynSent;
  host_.oracle_.expect(tuple(), plan_);
  send_empty({.syn = true});
  arm_timer();
}

void PlainPeer::Connection::transmit(wire::TcpHeader header, Bytes payload) {
  header.source = local_;
  header.destination = tuple().local.port;
  if (header.flags.syn) {
    header.options.mss = host_.plan_.mss;
    header.options.window_scale = host_.plan_.window_scale;
    if (host_.plan_.timestamps) header.options.timestamps = {ts_now(), 0};
    header.window = static_cast<std::uint16_t>(std::min<std::uint64_t>(receive_window(), 65535));
  } else {
    if (timestamps_) header.options.timestamps = {ts_now(), ts_recent_};
    header.window = static_cast<std::uint16_t>(std::min<std::uint64_t>(receive_window() >> receive_scale_, 65535));
  }
  if (!header.flags.rst) advertised_ = std::uint64_t{header.window} << (header.flags.syn ? 0 : receive_scale_);
  if (advertised_ == 0 && header.flags.ack) host_.context_.faults.add(Fault::kZeroWindow);
  if (header.flags.ack) header.ack = ack_now();
  host_.send(header, payload);
}

void PlainPeer::Connection::send_empty(wire::TcpFlags flags) {
  wire::TcpHeader header;
  header.flags = flags;
  header.seq = flags.syn ? iss_ : seq_of(max_sent_);
  transmit(header, {});
}

void PlainPeer::Connection::send_data(std::uint64_t from, std::uint64_t length) {
  std::vector<std::byte> bytes(length);
  plan_.content.fill(from, bytes);
  wire::TcpHeader header;
  header.seq = seq_of(from);
  header.flags.ack = true;
  header.flags.psh = from + length == written_;
  header.flags.fin = may_send_fin() && from + length == stream_end();
  if (length > 0 && length < 64) host_.context_.faults.add(Fault::kTinySegments);
  nxt_ = std::max(nxt_, from + length + (header.flags.fin ? 1 : 0));
  max_sent_ = std::max(max_sent_, nxt_);
  transmit(header, bytes);
}

void PlainPeer::Connection::write_more() {
  if (state_ != State::kOpen || written_ == plan_.bytes) return send_what_may_go();
  if (plan_.ending == Ending::kAbort && written_ >= plan_.abort_at) return abort();
  written_ = std::min(plan_.bytes, written_ + prng_.between(plan_.chunk_min, plan_.chunk_max));
  send_what_may_go();
  if (state_ != State::kOpen) return;
  const Duration think = prng_.between(plan_.think_min, plan_.think_max) + std::chrono::microseconds(10);
  host_.context_.queue.after(think, [this] {
    if (state_ == State::kOpen && written_ < plan_.bytes) write_more();
    if (state_ == State::kOpen && plan_.ending == Ending::kAbort && written_ == plan_.bytes) abort();
  });
}

void PlainPeer::Connection::send_what_may_go() {
  if (state_ != State::kOpen) return;
  const std::uint64_t limit = una_ + std::uint64_t{cwnd_} * host_.plan_.segment;
  const bool fin_is_sent = max_sent_ == stream_end() + 1;
  while (nxt_ < written_) {
    std::uint64_t length = std::min<std::uint64_t>(host_.plan_.segment, written_ - nxt_);
    if (nxt_ < max_sent_ && host_.plan_.change_boundaries) {
      length = prng_.between(1, length);
      host_.context_.faults.add(Fault::kOverlap);
    }
    if (nxt_ + length > std::min(edge_, limit)) {
      // A piece that fits, unless that would be silly (SWS).
      if (edge_ <= nxt_ || edge_ > limit || nxt_ != una_) break;
      length = edge_ - nxt_;
    }
    send_data(nxt_, length);
  }
  if (nxt_ == stream_end() && may_send_fin() && (!fin_is_sent || nxt_ == una_)) send_data(nxt_, 0);
  arm_timer();
}

void PlainPeer::Connection::send_probe() { send_data(nxt_, 1); }

void PlainPeer::Connection::abort() {
  host_.context_.faults.add(Fault::kAbort);
  host_.context_.note("{} aborts stream {}", host_.place_.name, plan_.number);
  host_.oracle_.peer_gone(tuple());
  send_empty({.rst = true, .ack = true});
  state_ = State::kReset;
  done_ = true;
}

// The node's reset may be lost, and then nothing that is left to be said would draw another.
bool PlainPeer::Connection::may_wait_in_vain() const {
  return state_ == State::kOpen && plan_.node_aborts && una_ == stream_end() + 1 && !fin_received_;
}

// From below the window (RFC 9293 section 3.8.4).
void PlainPeer::Connection::send_keepalive() {
  wire::TcpHeader header;
  header.seq = seq_of(una_ - 1);
  header.flags.ack = true;
  transmit(header, {});
}

void PlainPeer::Connection::arm_timer() {
  const std::uint64_t all = stream_end() + (plan_.ending == Ending::kClose ? 1 : 0);
  const bool is_waiting =
      state_ == State::kSynSent || (state_ == State::kOpen && una_ < all && (nxt_ > una_ || written_ > una_));
  if ((!is_waiting && !may_wait_in_vain()) || timer_armed_) return;
  timer_armed_ = true;
  const Duration timeout =
      !is_waiting ? kKeepalive
                  : std::min(kLongestTimeout, kFirstTimeout * (std::int64_t{1} << std::min(retries_, 10U)));
  host_.context_.queue.after(timeout, [this, generation = ++timer_] {
    if (generation != timer_) return;
    timer_armed_ = false;
    on_timer();
  });
}

void PlainPeer::Connection::on_timer() {
  ++retries_;
  if (state_ == State::kSynSent) {
    send_empty({.syn = true});
  } else if (may_wait_in_vain()) {
    send_keepalive();
  } else if (state_ == State::kOpen) {
    cwnd_ = 1;
    duplicates_ = 0;
    nxt_ = una_;
    if (edge_ <= una_ && una_ < written_) {
      send_probe();
    } else {
      send_what_may_go();
    }
  }
  arm_timer();
}

// ---- What an ACK does to the sender ----

void PlainPeer::Connection::receive_ack(const TcpView& view) {
  const std::uint64_t ack = static_cast<std::uint32_t>(view.tcp.ack - seq_of(0));
  if (ack > max_sent_) {
    return host_.context_.fail("{}: ACK {} of what was never sent ({})", tuple().to_string(), ack, max_sent_);
  }
  const std::uint64_t edge = ack + (std::uint64_t{view.tcp.window} << send_scale_);
  if (ack > una_) {
    una_ = ack;
    nxt_ = std::max(nxt_, una_);
    cwnd_ = std::min(cwnd_ + 1, kLargestWindow);
    duplicates_ = retries_ = 0;
    timer_armed_ = false;
    ++timer_;
  } else if (ack == una_ && edge == edge_ && view.payload_size == 0 && nxt_ > una_ && ++duplicates_ == 3) {
    nxt_ = una_;
  }
  // The newest word counts, also where it takes back (a window shrunk to 0).
  if (ack == una_) edge_ = edge;
  send_what_may_go();
}

}  // namespace holdfast::sim
